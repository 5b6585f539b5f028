import os
import sys

import psutil
import pytest

from jobs.engines import Exit
from jobs.problems import ClusterEnding, Ending, Launch, LaunchError, Refused
from jobs.submission import requests
from jobs.supervision.endings import explain, ran_out_of_memory, was_interrupted
from tests.jobs.conftest import supervise, wait_for
from tests.refusals import refused
from tracking import records, runs
from tracking.problems import Wrong


def times(printed: str, word: str) -> float:
    return next(float(line.split()[1]) for line in printed.splitlines() if line.startswith(word))


def test_one_slot_one_job_in_the_order_of_submission(bench):
    bench.supervisor.ask_grace_s = 60  # Python needs a moment to exit
    ids = [bench.submit("finish", seconds=0.2) for _ in range(2)]
    ended = bench.until_ended(*ids)
    assert [run.status for run in ended] == ["FINISHED", "FINISHED"]
    assert times(bench.printed(ids[0]), "ended") <= times(bench.printed(ids[1]), "began")
    assert ended[0].tags["job.slots"] == "cpu:0"
    bench.until(lambda: bench.run(ids[1]).tags.get("job.exit_code") == "0")


def test_each_job_leads_a_session_and_is_recorded(bench):
    run_id = bench.submit("sleep")
    bench.until_printed(run_id, "sleeping")
    tags = bench.run(run_id).tags
    pid = int(tags["job.pid"])
    assert os.getsid(pid) == pid != os.getsid(0)
    assert float(tags["job.create_time"]) == pytest.approx(psutil.Process(pid).create_time(), abs=0.5)
    assert tags["job.host"]
    assert bench.printed(run_id).startswith(f"$ {sys.executable} ")


def test_a_waiting_job_is_stopped_at_once(bench):
    first, second = bench.submit("sleep"), bench.submit("sleep")
    bench.until_printed(first, "sleeping")
    requests.request_stop(bench.store, second)
    bench.supervisor.step()
    assert bench.run(second).status == "KILLED" and "job.pid" not in bench.run(second).tags
    assert bench.run(first).is_active


def test_a_job_that_listens_ends_by_itself(bench):
    run_id = bench.submit("ask")
    bench.until_printed(run_id, "listening")
    bench.supervisor.ask_grace_s = 60
    requests.request_stop(bench.store, run_id)
    assert bench.run(run_id).is_stopping
    (run,) = bench.until_ended(run_id)
    assert run.status == "KILLED"


def test_a_job_that_does_not_listen_gets_sigterm(bench):
    run_id = bench.submit("polite")
    bench.until_printed(run_id, "waiting")
    bench.supervisor.term_grace_s = 60
    requests.request_stop(bench.store, run_id)
    (run,) = bench.until_ended(run_id)
    assert run.status == "KILLED" and "got SIGTERM" in bench.printed(run_id)


def test_gpu_slots_are_assigned_in_order(store, benches):
    bench = benches(store, ("cuda:0", "cuda:2"))
    one = bench.submit("sleep", trainer={"devices": 1})
    both = bench.submit("finish", trainer={"devices": 2})
    last = bench.submit("sleep", trainer={"devices": 1})
    bench.until_printed(one, "sleeping")
    bench.supervisor.step()
    assert bench.run(one).tags["job.slots"] == "cuda:0"
    assert "job.pid" not in bench.run(both).tags and "job.pid" not in bench.run(last).tags
    requests.request_stop(store, one)
    bench.until_ended(both)
    assert bench.run(both).tags["job.slots"] == "cuda:0,2"
    assert " 0,2" in bench.printed(both)
    bench.until_printed(last, "sleeping")


@pytest.mark.parametrize(
    ("devices", "reason"),
    [
        (3, LaunchError(Launch.TOO_FEW_GPUS, devices=3, available=2)),
        ("many", LaunchError(Launch.BAD_DEVICES, devices="many")),
        (0, LaunchError(Launch.BAD_DEVICES, devices=0)),
    ],
    ids=str,
)
def test_a_job_that_can_never_start_has_failed(store, benches, devices, reason):
    bench = benches(store, ("cuda:0", "cuda:1"))
    (run,) = bench.until_ended(bench.submit("sleep", trainer={"devices": devices}))
    assert (run.status, run.error) == ("FAILED", str(reason)) and "job.pid" not in run.tags


def test_a_program_that_cannot_be_started_is_a_failure(store, benches):
    bench = benches(store, command=("/does/not/exist",))
    (run,) = bench.until_ended(bench.submit("sleep"))
    reason = LaunchError(Launch.NO_PROCESS, reason="No such file or directory")
    assert (run.status, run.error) == ("FAILED", str(reason))


def test_a_successor_finds_running_jobs(store, benches):
    first = benches(store)
    run_id = first.submit("ask")
    first.until_printed(run_id, "listening")
    pid = first.run(run_id).tags["job.pid"]
    second = benches(store)
    second.supervisor.step()
    assert second.run(run_id).is_active and second.run(run_id).tags["job.pid"] == pid
    requests.request_stop(store, run_id)
    (run,) = second.until_ended(run_id)
    assert run.status == "KILLED" and run.tags["job.pid"] == pid
    first.until(lambda: first.engine.poll(run))


def test_a_run_that_was_never_complete_fails_in_the_end(bench, monkeypatch):
    run_id = records.create_run(bench.store, {}, status="RUNNING")
    bench.supervisor.step()
    assert bench.run(run_id).is_active
    monkeypatch.setattr("jobs.supervision.supervisor.UNCLAIMED_GRACE_S", 0)
    bench.supervisor.step()
    assert bench.run(run_id).status == "FAILED"


def test_which_requests_are_refused(bench):
    run_id = bench.submit("exit", code=1)
    with refused(Refused.NOT_DELETABLE, status="SCHEDULED"):
        requests.delete_run(bench.store, run_id)
    bench.until_ended(run_id)
    with refused(Refused.HAS_ENDED, status="FAILED"):
        requests.request_stop(bench.store, run_id)
    requests.delete_run(bench.store, run_id)
    assert runs.list_runs(bench.store) == []
    with refused(Wrong.NO_RUN, run_id=run_id):
        requests.request_stop(bench.store, run_id)


def test_one_supervisor_per_store(bench):
    from filelock import FileLock

    with FileLock(bench.store.root / "supervisor.lock"), refused(Launch.SUPERVISOR_RUNS):
        bench.supervisor.run()


@pytest.mark.parametrize(
    ("ended", "given", "cause", "values"),
    [
        (Exit(None), {}, Ending.UNSEEN, {}),
        (Exit(None), {"was_restarted": True}, Ending.RESTART, {}),
        (Exit(0), {"last_line": "bye"}, Ending.NO_RESULT, {}),
        (Exit(1), {}, Ending.EXIT_CODE, {"exit_code": 1}),
        (Exit(1), {"last_line": "bye"}, Ending.LAST_LINE, {"exit_code": 1, "line": "bye"}),
        (Exit(1), {"recorded": "Rank 1: no."}, Ending.RECORDED, {"reason": "Rank 1: no."}),
        (Exit(-9), {}, Ending.SIGNAL, {"signal": "SIGKILL"}),
        (Exit(-9), {"memory_was_full": True}, Ending.OUT_OF_MEMORY, {}),
        (Exit(-11), {"memory_was_full": True}, Ending.SIGNAL, {"signal": "SIGSEGV"}),
        (Exit(-34), {}, Ending.SIGNAL, {"signal": "SIGRTMIN"}),
        (Exit(None, ClusterEnding.REVOKED, {"job_id": "7"}), {}, ClusterEnding.REVOKED, {"job_id": "7"}),
    ],
)
def test_every_end_has_its_cause(ended, given, cause, values):
    problem = explain(ended, **given)
    assert problem.code is cause and values.items() <= problem.values.items()


@pytest.mark.parametrize(
    ("ended", "memory_was_full", "is_interrupted", "is_out_of_memory"),
    [
        (Exit(None), False, True, False),
        (Exit(-9), False, True, False),
        (Exit(-9), True, False, True),
        (Exit(-15), False, True, False),
        (Exit(-11), False, False, False),
        (Exit(1), False, False, False),
        (Exit(None, ClusterEnding.OUT_OF_MEMORY), False, True, True),
    ],
)
def test_what_an_end_means_for_its_run(ended, memory_was_full, is_interrupted, is_out_of_memory):
    assert was_interrupted(ended, memory_was_full) is is_interrupted
    assert ran_out_of_memory(ended, memory_was_full) is is_out_of_memory


def test_jobs_are_no_part_of_a_slurm_job_around_the_supervisor(store, tmp_path, monkeypatch):
    kept = ["SBATCH_PARTITION", "SLURM_CONF", "SLURM_JOB_ID"]  # and what somebody wants of all his jobs
    for name in (*kept, "SBATCH_WAIT", "SLURM_NTASKS", "SLURM_JOB_NAME", "SRUN_CPUS_PER_TASK"):
        monkeypatch.setenv(name, "1")
    job = tmp_path / "job.py"
    job.write_text(
        "import os; print('told', sorted(name for name in os.environ if name[:2] in ('SB', 'SL', 'SR')))"
    )
    supervisor = supervise(store, job)
    run_id = records.create_run(store, {})
    wait_for(lambda: runs.get_run(store, run_id).is_terminal)
    assert f"told {kept}" in store.log_file(run_id).read_text()
    supervisor.terminate()
    supervisor.communicate()
