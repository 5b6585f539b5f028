"""Resumed runs: back in the queue, in the same record, with their earlier output."""

import psutil
import pytest

from jobs.problems import Refused
from jobs.scheduling.queue import hold
from jobs.submission import requests
from tests.jobs.conftest import alive
from tests.refusals import refused
from tracking import records


@pytest.mark.parametrize("successor", [False, True])
def test_a_failed_run_continues_in_its_record(bench, benches, successor):
    run_id = bench.submit("go on")
    (failed,) = bench.until_ended(run_id)
    assert failed.status == "FAILED" and failed.tags["job.exit_code"] == "1"
    assert requests.can_resume(bench.store, failed)
    requests.resume(bench.store, run_id)
    assert bench.run(run_id).status == "SCHEDULED" and bench.run(run_id).error == ""
    if successor:  # which did not start the first process
        bench = benches(bench.store)
    bench.supervisor.ask_grace_s = 60  # Python needs a moment to exit
    (done,) = bench.until_ended(run_id)
    assert done.status == "FINISHED"
    printed = bench.printed(run_id)
    assert printed.index("had []") < printed.index("had ['last.ckpt']") and printed.count("$ ") == 2
    bench.until(lambda: bench.run(run_id).tags["job.exit_code"] == "0")


def test_a_resume_before_the_supervisor_has_noticed_the_end(bench):
    run_id = bench.submit("go on")
    bench.supervisor.step()
    child = bench.engine._children[run_id]
    child.wait(timeout=30)
    # The training process records its end before the supervisor notices.
    records.set_status(bench.store, run_id, "FAILED")
    requests.resume(bench.store, run_id)
    (done,) = bench.until_ended(run_id)
    assert done.status == "FINISHED" and bench.printed(run_id).count("$ ") == 2


def test_a_resumed_run_can_be_held_and_stopped(bench):
    run_id = bench.submit("go on")
    bench.until_ended(run_id)
    requests.resume(bench.store, run_id)
    hold(bench.store, run_id)
    bench.supervisor.step()
    assert bench.run(run_id).status == "SCHEDULED"
    requests.request_stop(bench.store, run_id)
    bench.supervisor.step()
    assert bench.run(run_id).status == "KILLED"


def test_what_cannot_be_resumed(bench):
    without = bench.submit("exit", code=1)
    bench.until_ended(without)
    with refused(Refused.NO_CHECKPOINT):
        requests.resume(bench.store, without)
    done = bench.submit("finish")
    with refused(Refused.NOT_RESUMABLE, status="SCHEDULED"):
        requests.resume(bench.store, done)
    bench.until_ended(done)
    with refused(Refused.NOT_RESUMABLE, status="FINISHED"):
        requests.resume(bench.store, done)


@pytest.mark.parametrize("successor", [False, True])
def test_a_resumed_run_waits_for_the_end_of_its_process(bench, benches, successor):
    run_id = bench.submit("sleep")
    bench.until_printed(run_id, "sleeping")
    (bench.store.checkpoint_folder(run_id)).mkdir(parents=True)
    (bench.store.checkpoint_folder(run_id) / "last.ckpt").touch()
    records.set_status(bench.store, run_id, "KILLED")
    requests.resume(bench.store, run_id)
    if successor:
        bench = benches(bench.store)
    bench.supervisor.ask_grace_s = 60
    first = int(bench.run(run_id).tags["job.pid"])
    for _ in range(3):
        bench.supervisor.step()
        assert bench.run(run_id).status == "SCHEDULED" and int(bench.run(run_id).tags["job.pid"]) == first
    psutil.Process(first).terminate()
    bench.until(lambda: bench.run(run_id).tags["job.pid"] not in ("", str(first)))
    assert not alive(first)
    bench.until(lambda: bench.printed(run_id).count("sleeping") == 2)


def test_a_process_that_does_not_end_is_killed_for_the_next(bench):
    run_id = bench.submit("sleep")
    bench.until_printed(run_id, "sleeping")
    bench.store.checkpoint_folder(run_id).mkdir(parents=True)
    (bench.store.checkpoint_folder(run_id) / "last.ckpt").touch()
    records.set_status(bench.store, run_id, "KILLED")
    requests.resume(bench.store, run_id)
    bench.until(lambda: bench.printed(run_id).count("sleeping") == 2)
