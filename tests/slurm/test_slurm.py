"""Each in the way a cluster does it: hand over, follow, stop, take the nodes away, lose one, fall silent."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

import psutil
import pytest

from jobs.engines.slurm_cluster import list_jobs
from jobs.engines.slurm_submission import key_of
from jobs.host.processes import Background
from jobs.problems import Cluster
from jobs.scheduling import queue
from jobs.scheduling.queue import obstacle
from jobs.submission import requests
from jobs.submission.spec import JobSpec
from jobs.supervision.supervisor import state_file
from problems import Problem
from tests.slurm.cluster import NODES, wait_until
from tests.slurm.conftest import JOB, Bench
from tracking import records
from tracking.layout import REPOSITORY
from tracking.runs import list_runs, reader
from tracking.store import Store


def two_nodes(epochs: int) -> dict[str, Any]:
    tiny = {"image_size": 32, "batch_size": 4, "num_workers": 1, "precision": "32-true"}
    (config,) = JobSpec(("resnet18",), epochs=epochs, **tiny).configs()
    few = {"num_nodes": 2, "log_every_n_steps": 1, "limit_train_batches": 12, "limit_val_batches": 1}
    return config | {"slurm": {}, "trainer": config["trainer"] | few}


def test_two_nodes_train_together_and_go_on_after_their_nodes_were_taken_away(trainings, cluster):
    run_id = records.create_run(trainings.store, two_nodes(epochs=1), tags={"job.engine": "slurm"})
    trainings.until(lambda: trainings.run(run_id).step >= 2)
    run = trainings.run(run_id)
    assert run.status == "RUNNING" and run.params["world_size"] == "2" and run.tags["job.nodes"] == "n[1-2]"
    job_id = run.tags["job.cluster_id"]
    cluster.ask("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=none", "--wrap=true")
    trainings.until(lambda: "BeginTime" in trainings.run(run_id).tags["queue.reason"])
    run = trainings.run(run_id)
    assert run.status == "SCHEDULED", (run.error, trainings.printed(run_id))
    assert "BeginTime" in obstacle(run, {run_id: run})
    cluster.hurry(job_id)
    done = trainings.until_ended(run_id)
    assert done.status == "FINISHED" and done.tags["job.cluster_id"] == job_id, trainings.printed(run_id)
    assert done.tags["job.resumes"] == "1" and done.tags["job.resumed_step"] == str(run.step)
    (points,) = reader(trainings.store).read_points(trainings.store, [(run_id, "train/loss")]).values()
    assert [step for step, *_ in points] == list(range(1, 13))


def test_a_stop_of_two_nodes_leaves_a_checkpoint_and_no_process(trainings, cluster):
    run_id = records.create_run(trainings.store, two_nodes(epochs=1000), tags={"job.engine": "slurm"})
    trainings.until(lambda: trainings.run(run_id).step >= 2)
    assert all(len(cluster.find_processes(node)) >= 3 for node in NODES)  # task, training, loader
    requests.request_stop(trainings.store, run_id)
    stopped = trainings.until_ended(run_id)
    assert stopped.status == "KILLED" and requests.can_resume(trainings.store, stopped)
    trainings.until(lambda: not trainings.supervisor._followed)
    states = {job.job_id: job.state for job in list_jobs()}
    assert states[stopped.tags["job.cluster_id"]] == "COMPLETED", "nobody had to force it"
    assert cluster.ask("squeue", "--me", "--noheader") == ""
    assert [cluster.find_processes(node) for node in NODES] == [[], []]
    requests.resume(trainings.store, run_id)
    trainings.until(lambda: trainings.run(run_id).step >= stopped.step + 2)
    again = trainings.run(run_id)
    assert int(again.tags["job.cluster_id"]) > int(stopped.tags["job.cluster_id"])
    assert again.tags["job.resumes"] == "1" and again.tags["job.resumed_step"] == str(stopped.step)
    (points,) = reader(trainings.store).read_points(trainings.store, [(run_id, "train/loss")]).values()
    assert [step for step, *_ in points] == list(range(1, len(points) + 1))
    assert [run.run_id for run in list_runs(trainings.store)] == [run_id]


def test_what_does_not_hear_a_stop_is_killed_on_all_its_nodes(bench, cluster):
    bench.supervisor.ask_grace_s = bench.supervisor.term_grace_s = 0.5
    both = {"devices": 1, "num_nodes": 2}
    pair = [bench.submit("deaf", tags={"job.group": "pair"}, trainer=both) for _ in range(2)]
    for run_id in pair:
        bench.until(lambda run_id=run_id: bench.printed(run_id).count("deaf\n") == 2)
        requests.request_stop(bench.store, run_id)
    assert [bench.until_ended(run_id).status for run_id in pair] == ["KILLED", "KILLED"]
    assert [cluster.find_processes(node) for node in NODES] == [[], []]


def test_what_the_launch_page_hands_over_is_trained(trainings, open_page, monkeypatch):
    monkeypatch.setenv("ARENA_MLRUNS", str(trainings.store.root))
    Background.of(os.getpid()).write(state_file(trainings.store))  # this process is the supervisor
    small = {
        "image_size": "32",
        "batch_size": "128",
        "epochs": "1",
        "num_workers": "0",
        "precision": "32-true",
    }
    app = open_page("launch", networks="cifar_resnet20", **small)
    app.button_group(key="where").set_value("slurm").run()
    app.number_input(key="nodes").set_value(2)
    app.text_input(key="partition").set_value("arena").run()
    app.button(key="launch").click().run()
    assert not app.exception
    (run,) = list_runs(trainings.store)
    done = trainings.until_ended(run.run_id)
    assert done.status == "FINISHED" and done.params["world_size"] == "2", trainings.printed(run.run_id)
    assert done.tags["job.nodes"] == "n[1-2]" and "val/error_top1" in done.metrics


def test_a_job_is_stopped_while_the_controller_is_away_and_back(bench, cluster):
    first, again = bench.submit("ask"), bench.submit("second time", steps=1)
    bench.until_printed(first, "listening")
    bench.until_printed(again, "sleeping")
    cluster.stop_controller()
    for process in cluster.find_processes(bench.run(again).tags["job.nodes"]):
        with suppress(psutil.Error):
            if again in process.cmdline():
                process.parent().send_signal(signal.SIGUSR2)  # the time limit is near
    second = bench.submit("finish")
    bench.until(lambda: "does not take it yet" in bench.run(second).tags.get("queue.reason", ""))
    waiting = bench.run(second)
    assert waiting.status == "SCHEDULED" and "contact" in obstacle(waiting, {})
    bench.until(lambda: "does not answer" in bench.run(first).tags["queue.reason"])
    assert bench.run(first).status == "RUNNING"
    cluster.start_controller()
    assert bench.until_ended(second).status == "FINISHED"
    bench.until(lambda: bench.run(again).status == "SCHEDULED")
    cluster.hurry(bench.run(again).tags["job.cluster_id"])
    assert bench.until_ended(again).status == "FINISHED"
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


def test_a_group_is_one_array_whose_members_go_their_own_ways(bench, cluster):
    group = {"job.group": "four"}
    done = bench.submit("finish", tags=group)
    stopped = bench.submit("ask", tags=group)
    again = bench.submit("second time", steps=1, tags=group)
    short = bench.submit("second time", tags=group)
    members = [done, stopped, again, short]
    bench.until(lambda: all(bench.run(member).tags.get("job.cluster_id") for member in members))
    ids = [bench.run(member).tags["job.cluster_id"] for member in members]
    assert ids == [f"{ids[0].removesuffix('_0')}_{index}" for index in range(4)]
    bench.until_printed(stopped, "listening")
    requests.request_stop(bench.store, stopped)
    for member in (again, short):
        bench.until_printed(member, "sleeping")
        cluster.ask("scancel", "--signal=USR2", bench.run(member).tags["job.cluster_id"])  # before the limit
    bench.until(lambda: bench.run(again).status == "SCHEDULED")
    cluster.hurry(bench.run(again).tags["job.cluster_id"])
    assert [bench.until_ended(member).status for member in members] == [
        "FINISHED",
        "KILLED",
        "FINISHED",
        "FAILED",  # no endless loop
    ]
    assert bench.run(short).error == str(Problem(Cluster.NO_STEPS))
    assert [bench.run(member).tags["job.cluster_id"] for member in members] == ids
    words = ["worked on", "listening", "time 2 on", "time 1 on"]
    for member, word in zip(members, words, strict=True):
        printed = bench.printed(member)
        assert word in printed and sum(other in printed for other in words) == (2 if member == again else 1)
    bench.until(lambda: not bench.supervisor._followed)


def test_neighbours_of_a_group_go_together_and_nobody_passes(bench, cluster, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")  # somebody's default; the form says another
    wanted = {"partition": "arena", "extra": {"begin": "now+1hour", "cpus-per-task": "1"}}

    def submit(group: str, **tags: str) -> str:
        return bench.submit("finish", slurm=wanted, tags={"job.group": group, **tags})

    def job_of(run_id: str) -> str:
        return bench.run(run_id).tags.get("job.cluster_id", "")

    one, two = submit("a"), submit("a")
    held = submit("a", **{"queue.held": "yes"})
    between = submit("b")
    late = submit("a")
    many = [submit("c") for _ in range(6)]  # more than the cluster takes as one array
    bench.until(lambda: all(map(job_of, [one, two, between, late, *many])))
    array = job_of(one).removesuffix("_0")
    assert os.environ["SBATCH_PARTITION"] == "nowhere"
    assert job_of(two) == f"{array}_1" and job_of(held) == ""
    alone = [job_of(run_id) for run_id in [between, late, *many]]
    assert [int(job_id) for job_id in alone] == sorted({int(job_id) for job_id in alone})
    assert int(array) < int(alone[0])
    requests.request_stop(bench.store, one)
    assert bench.until_ended(one).status == "KILLED"
    assert job_of(two) in {job.job_id for job in list_jobs()} and bench.run(two).status == "SCHEDULED"
    queue.release(bench.store, held)
    bench.supervisor.step()  # hands it over
    requests.request_stop(bench.store, held)
    assert bench.until_ended(held).status == "KILLED" and job_of(held) == ""
    for run_id in [two, between, late, *many]:
        requests.request_stop(bench.store, run_id)
    bench.until(lambda: all(job.has_ended for job in list_jobs()))
    bench.until(lambda: not bench.supervisor._followed)


def signal_python(bench: Bench, run_id: str) -> None:
    """Warn of the time limit when Python has not even begun to look for a program."""

    def is_starting(process: psutil.Process) -> bool:
        words = process.cmdline()
        # Not the shell before it, which may not have got to its `trap` yet, nor srun.
        is_python = bool(words) and words[0] == sys.executable
        return is_python and "jobs.engines.slurm_task" in words and run_id in words

    found: list[psutil.Process] = []
    while not found:
        bench.supervisor.step()
        for node in NODES:
            found += filter(is_starting, bench.cluster.find_processes(node))
    found[0].send_signal(signal.SIGUSR2)


def test_how_jobs_end(bench, cluster):
    done = bench.submit("finish")
    wrong = bench.submit("exit", code=3)
    refused = bench.submit("finish", slurm={"partition": "nowhere"})
    waiting = bench.submit("finish", slurm={"extra": {"begin": "now+1hour"}})
    cancelled = bench.submit("second time", polite=True)
    early = bench.submit("finish")
    signal_python(bench, early)
    bench.until(lambda: "BeginTime" in bench.run(waiting).tags.get("queue.reason", ""))
    requests.request_stop(bench.store, waiting)
    bench.until_printed(cancelled, "sleeping")
    cluster.ask("scancel", bench.run(cancelled).tags["job.cluster_id"])
    for run_id, status, sentence in (
        (done, "FINISHED", ""),
        (wrong, "FAILED", "exit code 3"),
        (refused, "FAILED", "Slurm rejected the job: Invalid partition name specified."),
        (waiting, "KILLED", ""),
        (cancelled, "FAILED", "was cancelled on the cluster (scancel)"),
    ):
        run = bench.until_ended(run_id)
        assert run.status == status and sentence in run.error
    assert "SIGUSR2" not in bench.until_ended(early).error
    bench.until(lambda: bench.run(done).tags.get("job.exit_code") == "0")
    assert f"worked on {bench.run(done).tags['job.nodes']}" in bench.printed(done)


# Slurm expands some of these characters in file names, and the shell others.
ODD = ("50%j a=0 x", """it's "1" \\ #2 %a $(touch x); é""")


def test_a_training_logs_into_its_store_whatever_the_folder_is_called(prepared_root, tmp_path, cluster):
    home = tmp_path / ODD[0]
    shutil.copytree(prepared_root, home)
    bench = Bench(Store(home).open(), cluster, (sys.executable, "-m", "training", "fit"))
    tiny = {"image_size": 32, "batch_size": 128, "num_workers": 0, "precision": "32-true"}
    (config,) = JobSpec(("cifar_resnet20",), epochs=1, slurm=True, **tiny).configs()
    config["trainer"] |= {"limit_train_batches": 2, "limit_val_batches": 1}
    run_id = records.create_run(bench.store, config, tags={"job.engine": "slurm"})
    assert bench.until_ended(run_id).status == "FINISHED", bench.printed(run_id)
    assert "epoch 1/1: val loss" in bench.printed(run_id)
    assert (bench.store.checkpoint_folder(run_id) / "last.ckpt").is_file()
    assert [file.name for file in bench.store.logs.iterdir()] == [f"{run_id}.log"]
    assert [folder.name for folder in tmp_path.iterdir()] == [ODD[0]]


@pytest.mark.parametrize("name", ODD)
def test_a_member_of_an_array_logs_into_its_store(name, prepared_root, tmp_path, cluster):
    shutil.copytree(prepared_root, tmp_path / name)
    bench = Bench(Store(tmp_path / name).open(), cluster, (sys.executable, str(JOB)))
    pair = [bench.submit("finish", tags={"job.group": "pair"}) for _ in range(2)]
    assert [bench.until_ended(run_id).status for run_id in pair] == ["FINISHED", "FINISHED"]
    assert [bench.run(run_id).tags["job.cluster_id"][-2:] for run_id in pair] == ["_0", "_1"]
    assert all(bench.printed(run_id).startswith("worked on") for run_id in pair)
    assert {file.name for file in bench.store.logs.iterdir()} == {f"{run_id}.log" for run_id in pair}
    assert [folder.name for folder in tmp_path.iterdir()] == [name]
    assert not [*REPOSITORY.glob("slurm-*")], "the default output of sbatch"


SUPERVISE = """
import sys
from pathlib import Path
from jobs.engines.slurm import SlurmEngine
from jobs.supervision.supervisor import Supervisor
from tracking.store import Store
store = Store(Path(sys.argv[1])).open()
supervisor = Supervisor(store, SlurmEngine(store, (sys.executable, sys.argv[2])), poll_interval_s=0.1)
supervisor.run()
"""
SBATCH = """#!/bin/sh
{sbatch} "$@" >/dev/null
touch {told}
kill -9 $PPID
"""


@pytest.mark.fault("supervisor killed before it wrote down what sbatch said", "each job on the cluster once")
def test_nothing_is_handed_over_twice(bench, cluster, tmp_path):
    group = [bench.submit("ask", tags={"job.group": "pair"}), bench.submit("ask", tags={"job.group": "pair"})]
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(SBATCH.format(sbatch=shutil.which("sbatch"), told=tmp_path / "told"))
    sbatch.chmod(0o755)
    path = f"{sbatch.parent}:{os.environ['PATH']}"
    command = [sys.executable, "-c", SUPERVISE, str(bench.store.root), str(JOB)]
    first = subprocess.run(command, env=os.environ | {"PATH": path})
    assert first.returncode == -signal.SIGKILL and (tmp_path / "told").exists()
    wait_until(lambda: all("listening" in bench.printed(run_id) for run_id in group))
    assert [bench.run(run_id).tags.get("job.cluster_id") for run_id in group] == [None, None]
    bench.until(lambda: all(bench.run(run_id).tags.get("job.cluster_id") for run_id in group))
    for run_id in group:
        requests.request_stop(bench.store, run_id)
    assert [bench.until_ended(run_id).status for run_id in group] == ["KILLED", "KILLED"]
    assert [bench.printed(run_id).count("listening") for run_id in group] == [1, 1]
    comment = key_of(bench.run(group[0]).tags["job.cluster_asked"])
    ids = [bench.run(run_id).tags["job.cluster_id"] for run_id in group]
    assert sorted(job.job_id for job in list_jobs() if job.comment.startswith(comment)) == ids
