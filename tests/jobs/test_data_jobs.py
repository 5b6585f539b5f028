"""Commands on data: started only once, monitored by their progress file, stopped, and recorded correctly."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jobs import data_jobs
from jobs.data_jobs import DataJob, JobState
from jobs.problems import DataJobEnding, Refused
from problems import Problem
from tests.refusals import refused
from tracking import runs
from tracking.store import Store

PROGRAM = (sys.executable, str(Path(__file__).parent / "data_command.py"))


def wait_until(store: Store, job: DataJob, is_so: Callable[[JobState], object]) -> JobState:
    deadline = time.monotonic() + 60
    while not is_so(state := data_jobs.state_of(store, job)):
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    return state


@pytest.mark.parametrize(
    ("behaviour", "status", "message"),
    [
        ("count", "FINISHED", ""),
        ("fail", "FAILED", "Half of the images are missing."),
        ("refuse", "FAILED", "There is no folder /nowhere."),
    ],
)
def test_how_it_ended_is_kept(behaviour: str, status: str, message: str, store: Store) -> None:
    job = data_jobs.start(store, [behaviour], PROGRAM)
    state = wait_until(store, job, lambda state: not state.is_active)
    assert (state.status, state.message) == (status, message)
    assert state.ended_at is not None and abs(state.ended_at - time.time()) < 60
    (kept,) = data_jobs.list_jobs(store)
    assert kept == state and kept.job.command == f".venv/bin/python -m datamodules {behaviour}"
    assert data_jobs.read_job_log(store, job).startswith(f"$ .venv/bin/python -m datamodules {behaviour}")
    assert runs.list_runs(store) == []
    data_jobs.delete(store, job)
    assert data_jobs.list_jobs(store) == []


def test_progress_stop_and_no_second_start(store: Store) -> None:
    job = data_jobs.start(store, ["slow"], PROGRAM)
    state = wait_until(store, job, lambda state: state.report and state.report.done > 1)
    assert state.status == "RUNNING" and state.report is not None and state.report.total == 100
    assert data_jobs.start(store, ["slow"], PROGRAM) == job
    with refused(Refused.NOT_DELETABLE, name=job.command):
        data_jobs.delete(store, job)
    data_jobs.request_stop(store, job)
    state = wait_until(store, job, lambda state: not state.is_active)
    assert state.status == "KILLED" and state.message
    other = data_jobs.start(store, ["count"], PROGRAM)
    assert [one.job.key for one in data_jobs.list_jobs(store)] == [other.key, job.key]
    wait_until(store, other, lambda state: not state.is_active)


def test_one_that_does_not_stop_is_killed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_jobs, "STOP_GRACE_S", 0.5)
    job = data_jobs.start(store, ["deaf"], PROGRAM)
    wait_until(store, job, lambda state: state.report)
    data_jobs.request_stop(store, job)
    (state,) = data_jobs.list_jobs(store)
    assert state.is_stopping and not state.can_be_killed
    state = wait_until(store, state.job, lambda state: state.can_be_killed)
    assert data_jobs.stop_all(store) == 1
    (state,) = data_jobs.list_jobs(store)
    assert state.status == "KILLED"
    assert data_jobs.stop_all(store) == 0


def test_a_killed_command_is_not_considered_running(store: Store) -> None:
    job = data_jobs.start(store, ["slow"], PROGRAM)
    wait_until(store, job, lambda state: state.report)
    psutil.Process(job.pid).kill()
    state = wait_until(store, job, lambda state: not state.is_active)
    assert (state.status, state.message) == ("FAILED", str(Problem(DataJobEnding.UNSEEN)))
    assert state.report is not None and state.report.state == "running"
