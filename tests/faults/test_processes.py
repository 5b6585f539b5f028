"""Processes that are killed, ignore signals, disappear or are confused; only the jobs are simulated."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from jobs.problems import Ending
from jobs.submission import requests
from jobs.supervision.supervisor import find_supervisor
from problems import Problem
from tests.jobs.conftest import alive, family, supervise, wait_for
from tracking import records, runs

SIGKILL = Problem(Ending.SIGNAL, signal="SIGKILL")


@pytest.mark.fault(
    "exit without a terminal record, with code 0 too",
    "FAILED with the reason; only a recorded result counts as success",
)
@pytest.mark.parametrize(
    ("behaviour", "config", "ending"),
    [
        ("exit", {"code": 0}, Ending.NO_RESULT),
        ("exit", {"code": 3}, Ending.EXIT_CODE),
        ("orphan", {}, Ending.LAST_LINE),
    ],
)
def test_an_end_without_a_record_is_a_failure(bench, behaviour, config, ending):
    (run,) = bench.until_ended(bench.submit(behaviour, **config))
    last_line = bench.printed(run.run_id).splitlines()[-1]
    assert (run.status, run.error) == ("FAILED", str(Problem(ending, exit_code=3, line=last_line)))
    assert run.tags["job.exit_code"] == str(config.get("code", 3))


@pytest.mark.fault("a job dies, its children live", "the children are killed")
def test_children_of_a_dead_job_are_killed(bench):
    run_id = bench.submit("orphan")
    bench.until_ended(run_id)
    assert not any(alive(pid) for pid in family(bench.printed(run_id)))


@pytest.mark.fault("kill -9 of a job", "the same run continues automatically, before the next job")
def test_a_killed_job_is_resumed(bench):
    bench.supervisor.ask_grace_s = 60  # Python needs a moment to exit
    first, second = bench.submit("go on", seconds=600), bench.submit("exit", code=1)
    bench.until_printed(first, "trains")
    assert bench.run(second).status == "SCHEDULED" and "job.pid" not in bench.run(second).tags
    os.kill(int(bench.run(first).tags["job.pid"]), signal.SIGKILL)
    done, failed = bench.until_ended(first, second)
    assert done.status == "FINISHED" and done.error == "" and failed.ended_at > done.ended_at
    assert done.tags["job.lost_reason"] == str(SIGKILL)
    printed = bench.printed(first)
    assert printed.index("had []") < printed.index("had ['last.ckpt']") and printed.count("$ ") == 2


@pytest.mark.fault("killed again and again, no checkpoint", "resumed n times, then FAILED with the reason")
def test_a_run_without_progress_fails(bench, observed):
    bench.supervisor.max_resumes = 2
    (run,) = bench.until_ended(bench.submit("die", lives=99, saves=False))
    assert run.status == "FAILED" and bench.printed(run.run_id).count("life") == 3
    assert run.error == str(Problem(Ending.NO_PROGRESS, reason=SIGKILL, times=2))
    observed(run.error)
    assert not requests.can_resume(bench.store, run)


@pytest.mark.fault("killed again and again, each time further", "resumed as often as necessary")
def test_a_run_with_progress_is_resumed_again(bench):
    bench.supervisor.max_resumes, bench.supervisor.ask_grace_s = 1, 60
    (run,) = bench.until_ended(bench.submit("die", lives=3, saves=True))
    assert run.status == "FINISHED" and bench.printed(run.run_id).count("life") == 4


@pytest.mark.parametrize("slots", ["cpu:0", ""])
def test_a_run_that_was_started_manually_is_not_resumed(bench, slots):
    run_id = bench.submit("finish")
    dead = {"job.pid": 2**22 + 1, "job.create_time": "1.0", "job.slots": slots}
    records.set_tags(bench.store, run_id, dead)
    records.set_status(bench.store, run_id, "RUNNING")
    bench.supervisor.ask_grace_s = 60
    (run,) = bench.until_ended(run_id)
    assert run.status == ("FINISHED" if slots else "FAILED")
    assert (run.tags["job.lost_reason"] if slots else run.error) == str(Problem(Ending.RESTART))


@pytest.mark.fault("the machine is shut down normally", "its runs continue after the restart")
@pytest.mark.parametrize("asked", [False, True])
def test_a_shutdown_of_the_machine_is_no_stop(bench, monkeypatch, asked):
    run_id = bench.submit("finish")
    tags = {"job.pid": 2**22 + 1, "job.create_time": "1.0", "job.slots": "cpu:0"}
    records.set_tags(bench.store, run_id, tags | ({"job.request": "stop"} if asked else {}))
    records.set_status(bench.store, run_id, "KILLED")
    bench.supervisor._resume_after_shutdown()
    assert bench.run(run_id).status == "KILLED", "the machine has not been restarted since"
    monkeypatch.setattr("jobs.supervision.recovery.psutil.boot_time", lambda: time.time() + 1)
    bench.supervisor._resume_after_shutdown()
    assert bench.run(run_id).status == ("KILLED" if asked else "SCHEDULED")


@pytest.mark.fault("kernel kills the job: memory is full", "FAILED with the cause and a remedy; not repeated")
def test_the_kernel_kills_for_lack_of_memory(store, benches, tmp_path, observed):
    group = Path("/sys/fs/cgroup/memory/arena-test")  # only version 1 of control groups
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(200 * 2**20))
    except OSError as error:
        pytest.skip(f"cannot limit the memory of a process: {error.strerror}")
    script = tmp_path / "greedy.py"
    script.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path('{group}/cgroup.procs').write_text(str(os.getpid()))\n"
        "time.sleep(1)\n"
        "print(len([b'x' * 2**20 for _ in range(2000)]))\n"
    )
    bench = benches(store, command=(sys.executable, str(script)))
    try:
        (run,) = bench.until_ended(bench.submit("none"))
    finally:
        group.rmdir()
    assert (run.status, run.error) == ("FAILED", str(Problem(Ending.OUT_OF_MEMORY)))
    assert bench.printed(run.run_id).count("$ ") == 1
    observed(run.error)


@pytest.mark.fault("SIGTERM ignored by the job and its children", "all killed after the grace time")
def test_a_stubborn_job_is_killed_with_its_whole_family(bench):
    run_id = bench.submit("stubborn")
    bench.until_printed(run_id, "family")
    members = family(bench.printed(run_id))
    assert len(members) == 3 and all(alive(pid) for pid in members)
    requests.request_stop(bench.store, run_id)
    (run,) = bench.until_ended(run_id)
    assert run.status == "KILLED" and "ignored SIGTERM" in bench.printed(run_id)
    assert not any(alive(pid) for pid in members)


@pytest.mark.fault("a job does not exit after its record", "killed; its slot is free only then")
def test_a_job_that_does_not_exit_after_its_record_is_killed(bench):
    first, second = bench.submit("linger"), bench.submit("exit", code=1)
    bench.until_printed(first, "finished")
    bench.supervisor.step()
    assert "job.pid" not in bench.run(second).tags  # the slot is not free before the process has ended
    bench.until_ended(second)
    assert bench.run(first).status == "FINISHED"
    assert not alive(int(bench.run(first).tags["job.pid"]))


@pytest.mark.fault(
    "supervisor killed before it recorded a process", "the next one finds it: it is not started twice"
)
def test_a_successor_finds_a_job_whose_process_was_not_recorded(store, benches):
    first = benches(store)
    run_id = first.submit("sleep")
    first.until_printed(run_id, "sleeping")
    pid = first.run(run_id).tags["job.pid"]
    for tag in ("job.pid", "job.create_time"):
        records.client(store).delete_tag(run_id, tag)
    second = benches(store)
    second.supervisor.step()
    assert second.run(run_id).tags["job.pid"] == pid
    arguments = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    assert sum(run_id in words for words in arguments) == 1


@pytest.mark.fault("recycled PID in a tag", "the foreign process is never signalled")
@pytest.mark.parametrize(("request_it", "status"), [(False, "FAILED"), (True, "KILLED")])
def test_another_process_with_the_number_of_a_job_is_left_alone(bench, request_it, status):
    stranger = psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    run_id = bench.submit("sleep")
    long_ago = stranger.create_time() - 1000
    records.set_tags(bench.store, run_id, {"job.pid": stranger.pid, "job.create_time": repr(long_ago)})
    records.set_status(bench.store, run_id, "RUNNING")
    if request_it:
        requests.request_stop(bench.store, run_id)
    (run,) = bench.until_ended(run_id)
    assert run.status == status
    assert stranger.is_running() and stranger.poll() is None
    stranger.kill()
    stranger.wait()


@pytest.mark.fault("kill -9 of the supervisor", "its job continues; the next supervisor takes it over")
def test_a_killed_supervisor_changes_nothing_for_its_jobs(store):
    first = supervise(store)
    run_id = records.create_run(store, {"behaviour": "finish", "seconds": 4})
    wait_for(lambda: runs.get_run(store, run_id).status == "RUNNING")
    pid = int(runs.get_run(store, run_id).tags["job.pid"])
    first.kill()
    first.communicate()
    assert find_supervisor(store) is None and psutil.pid_exists(pid)

    second = supervise(store)  # the lock of the first one does not matter
    wait_for(lambda: runs.get_run(store, run_id).is_terminal)
    run = runs.get_run(store, run_id)
    assert run.status == "FINISHED" and run.tags["job.pid"] == str(pid)
    second.send_signal(signal.SIGTERM)
    assert second.communicate()[1] == b"" and second.returncode == 0
