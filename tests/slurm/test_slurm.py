"""Each in the way a cluster does it: hand over, follow, stop, take the nodes away, lose one, fall silent."""

from jobs import requests
from jobs.queue import obstacle
from jobs.spec import JobSpec
from tests.slurm.cluster import wait_until
from tracking import records
from tracking.runs import reader


def test_two_nodes_train_together_and_go_on_after_their_nodes_were_taken_away(trainings, cluster):
    spec = JobSpec(("resnet18",), image_size=32, batch_size=4, epochs=1, num_workers=1, precision="32-true")
    (config,) = spec.configs()
    few = {"num_nodes": 2, "log_every_n_steps": 1, "limit_train_batches": 12, "limit_val_batches": 1}
    config |= {"slurm": {}, "trainer": config["trainer"] | few}
    run_id = records.create_run(trainings.store, config, tags={"job.engine": "slurm"})
    trainings.until(lambda: trainings.run(run_id).step >= 2)
    run = trainings.run(run_id)
    assert run.status == "RUNNING" and run.params["world_size"] == "2" and run.tags["job.nodes"] == "n[1-2]"
    job_id = run.tags["job.cluster_id"]
    cluster.ask("scontrol", "requeue", job_id)
    trainings.until(lambda: "BeginTime" in trainings.run(run_id).tags["queue.reason"])
    run = trainings.run(run_id)
    assert run.status == "SCHEDULED" and "BeginTime" in obstacle(run, {run_id: run})
    cluster.hurry(job_id)
    done = trainings.until_ended(run_id)
    assert done.status == "FINISHED" and done.tags["job.cluster_id"] == job_id, trainings.printed(run_id)
    assert done.tags["job.resumes"] == "1" and done.tags["job.resumed_step"] == str(run.step)
    (points,) = reader(trainings.store).read_points(trainings.store, [(run_id, "train/loss")]).values()
    assert [step for step, *_ in points] == list(range(1, 13))


def test_a_job_is_stopped_while_the_controller_is_away_and_back(bench, cluster):
    first = bench.submit("ask")
    bench.until_printed(first, "listening")
    cluster.stop_controller()
    second = bench.submit("finish")
    bench.until(lambda: "does not take it yet" in bench.run(second).tags.get("queue.reason", ""))
    waiting = bench.run(second)
    assert waiting.status == "SCHEDULED" and "contact" in obstacle(waiting, {})
    bench.until(lambda: "does not answer" in bench.run(first).tags["queue.reason"])
    assert bench.run(first).status == "RUNNING"
    cluster.start_controller()
    assert bench.until_ended(second).status == "FINISHED"
    requests.request_stop(bench.store, first)
    assert bench.until_ended(first).status == "KILLED"
    bench.until(lambda: not bench.supervisor._followed)


def test_a_node_dies_and_its_job_goes_on_elsewhere(bench, cluster):
    run_id = bench.submit("second time")
    bench.until_printed(run_id, "sleeping")
    node = bench.run(run_id).tags["job.nodes"]
    cluster.kill_node(node)
    bench.until(lambda: bench.run(run_id).status == "SCHEDULED")
    cluster.hurry(bench.run(run_id).tags["job.cluster_id"])
    assert bench.until_ended(run_id).status == "FINISHED"
    other = "n1" if node == "n2" else "n2"
    assert f"time 1 on {node}" in bench.printed(run_id) and f"time 2 on {other}" in bench.printed(run_id)
    cluster.start_node(node)
    wait_until(lambda: cluster.count_idle() == 2)


def test_before_its_time_is_up_a_job_asks_for_its_next_turn(bench, cluster):
    run_id = bench.submit("second time", steps=1)
    bench.until_printed(run_id, "sleeping")
    job_id = bench.run(run_id).tags["job.cluster_id"]
    cluster.ask("scancel", "--signal=USR2", job_id)  # as Slurm does before the limit
    bench.until(lambda: bench.run(run_id).status == "SCHEDULED")
    cluster.hurry(job_id)
    assert bench.until_ended(run_id).status == "FINISHED"


def test_a_time_limit_that_is_too_short_is_no_endless_loop(bench, cluster):
    run_id = bench.submit("second time")
    bench.until_printed(run_id, "sleeping")
    cluster.ask("scancel", "--signal=USR2", bench.run(run_id).tags["job.cluster_id"])
    run = bench.until_ended(run_id)
    assert run.status == "FAILED" and "ask for more time" in run.error


def test_how_jobs_end(bench, cluster):
    done = bench.submit("finish")
    wrong = bench.submit("exit", code=3)
    refused = bench.submit("finish", slurm={"partition": "nowhere"})
    waiting = bench.submit("finish", slurm={"extra": {"begin": "now+1hour"}})
    cancelled = bench.submit("second time")
    bench.until(lambda: "BeginTime" in bench.run(waiting).tags.get("queue.reason", ""))
    requests.request_stop(bench.store, waiting)
    bench.until_printed(cancelled, "sleeping")
    cluster.ask("scancel", bench.run(cancelled).tags["job.cluster_id"])
    for run_id, status, sentence in (
        (done, "FINISHED", ""),
        (wrong, "FAILED", "exit code 3"),
        (refused, "FAILED", "Slurm refuses the job: Invalid partition name specified."),
        (waiting, "KILLED", ""),
        (cancelled, "FAILED", "was cancelled on the cluster (scancel)"),
    ):
        run = bench.until_ended(run_id)
        assert run.status == status and sentence in run.error
    bench.until(lambda: bench.run(done).tags.get("job.exit_code") == "0")
    assert f"worked on {bench.run(done).tags['job.nodes']}" in bench.printed(done)
    bench.until(lambda: not list((bench.store.root / "slurm").iterdir()))


def test_a_successor_finds_a_job_that_was_handed_over_but_not_noted(bench, benches, cluster):
    run_id = bench.submit("ask")
    bench.until_printed(run_id, "listening")
    job_id = bench.run(run_id).tags["job.cluster_id"]
    records.set_tags(bench.store, run_id, {"job.cluster_id": "", "job.pid": ""})
    records.set_status(bench.store, run_id, "SCHEDULED")
    successor = benches(bench.store)
    successor.until(lambda: successor.run(run_id).tags["job.cluster_id"])
    assert successor.run(run_id).tags["job.cluster_id"] == job_id
    requests.request_stop(bench.store, run_id)
    assert successor.until_ended(run_id).status == "KILLED"
