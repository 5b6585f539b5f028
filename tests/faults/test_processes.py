"""Processes killed, deaf, lost or mistaken; jobs are simulated by a script, all around them is real."""

import os
import signal
import sys

import psutil
import pytest

from jobs import requests
from jobs.supervisor import find_supervisor
from tests.jobs.conftest import alive, family, supervise, wait_for
from tracking import records, runs


@pytest.mark.fault(
    "exit without a terminal record, with code 0 too",
    "FAILED with the reason; nothing else counts as success",
)
@pytest.mark.parametrize(
    ("behaviour", "config", "sentence"),
    [
        ("exit", {"code": 0}, "exit code 0 but recorded no result"),
        ("exit", {"code": 3}, "exit code 3"),
        ("orphan", {}, "exit code 3"),
    ],
)
def test_an_end_without_a_record_is_a_failure(bench, behaviour, config, sentence):
    (run,) = bench.until_ended(bench.submit(behaviour, **config))
    assert run.status == "FAILED" and sentence in run.error and "see the log" in run.error
    assert run.tags["job.exit_code"] == str(config.get("code", 3))


@pytest.mark.fault("a job dies, its children live", "the children are killed")
def test_what_a_dead_job_leaves_behind_is_killed(bench):
    run_id = bench.submit("orphan")
    bench.until_ended(run_id)
    assert not any(alive(pid) for pid in family(bench.printed(run_id)))


@pytest.mark.fault("kill -9 of a job", "FAILED with the reason; the next job starts")
def test_a_killed_job_has_failed_and_the_next_one_starts(bench):
    first, second = bench.submit("sleep"), bench.submit("exit", code=1)
    bench.until_printed(first, "sleeping")
    assert bench.run(second).status == "SCHEDULED" and "job.pid" not in bench.run(second).tags
    os.kill(int(bench.run(first).tags["job.pid"]), signal.SIGKILL)
    killed, _ = bench.until_ended(first, second)
    assert killed.status == "FAILED" and "SIGKILL" in killed.error


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


@pytest.mark.fault("a job never leaves after its record", "killed; its slot is free only then")
def test_a_job_that_does_not_leave_after_its_record_is_killed(bench):
    first, second = bench.submit("linger"), bench.submit("exit", code=1)
    bench.until_printed(first, "finished")
    bench.supervisor.step()
    assert "job.pid" not in bench.run(second).tags  # the slot is not free before the process has gone
    bench.until_ended(second)
    assert bench.run(first).status == "FINISHED"
    assert not alive(int(bench.run(first).tags["job.pid"]))


@pytest.mark.fault(
    "supervisor killed before it noted a process", "a successor finds it: it is not started twice"
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
    assert len([p for p in psutil.process_iter() if run_id in p.cmdline()]) == 1


@pytest.mark.fault("recycled PID in a tag", "the foreign process is never signalled")
@pytest.mark.parametrize(("request_it", "status"), [(False, "FAILED"), (True, "KILLED")])
def test_another_process_with_the_number_of_a_job_is_not_the_job(bench, request_it, status):
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


@pytest.mark.fault("kill -9 of the supervisor", "its job goes on; a successor takes it over")
def test_a_killed_supervisor_changes_nothing_for_its_jobs(store):
    first = supervise(store)
    run_id = records.create_run(store, {"behaviour": "finish", "seconds": 4})
    wait_for(lambda: runs.get_run(store, run_id).status == "RUNNING")
    pid = int(runs.get_run(store, run_id).tags["job.pid"])
    first.kill()
    first.communicate()
    assert find_supervisor(store) is None and psutil.pid_exists(pid)

    second = supervise(store)  # the lock of the first one is no obstacle
    wait_for(lambda: runs.get_run(store, run_id).is_terminal)
    run = runs.get_run(store, run_id)
    assert run.status == "FINISHED" and run.tags["job.pid"] == str(pid)
    second.send_signal(signal.SIGTERM)
    assert second.communicate()[1] == b"" and second.returncode == 0
