"""Automatic resumption of runs whose process was interrupted, as long as they make progress."""

import os

import psutil

from jobs.engines import CLUSTER_TAGS
from jobs.problems import BadValue, Ending
from jobs.submission.requests import LOST, LOST_REASON, put_back
from problems import InvalidValue, Problem
from tracking.runs import Run
from tracking.store import Store

# A run is resumed automatically this many times in a row without a newer checkpoint.
MAX_RESUMES = 3
SETTING = "ARENA_AUTO_RESUMES"

# The tags that identify the process of a run, emptied.
NO_PROCESS = dict.fromkeys(("job.pid", "job.create_time", "job.slots", *CLUSTER_TAGS), "")
CHECKPOINT = "job.lost_checkpoint"


def max_resumes() -> int:
    """Return how often runs are resumed automatically: the value in the environment, or the default.

    Raises:
        InvalidValue: The value is not a whole number.
    """
    value = os.environ.get(SETTING) or str(MAX_RESUMES)
    if not value.isdecimal():
        raise InvalidValue(BadValue.AUTO_RESUMES, name=SETTING, value=value)
    return int(value)


def resume_automatically(store: Store, run: Run, reason: Problem, limit: int) -> Problem | None:
    """Put an interrupted run back into the queue, unless that has happened too often without progress.

    Args:
        store: The store with the run.
        run: The run. One whose process was not started by a supervisor is not resumed.
        reason: Why it was interrupted.
        limit: How many times in a row it may be resumed without a newer checkpoint; 0 for never.

    Returns:
        None if the run was put back, otherwise why it has failed.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    if not run.tags.get("job.slots") or not limit:
        return reason
    newest = newest_checkpoint(store, run.run_id)
    times = 1 if newest > _number(run, CHECKPOINT) else _number(run, LOST) + 1
    if times > limit:
        return Problem(Ending.NO_PROGRESS, reason=reason, times=limit)
    put_back(store, run.run_id, {**NO_PROCESS, LOST: times, CHECKPOINT: newest, LOST_REASON: reason})
    return None


def newest_checkpoint(store: Store, run_id: str) -> int:
    """Return when the newest checkpoint was written, in Unix nanoseconds; 0 if there is none."""
    files = store.checkpoint_folder(run_id).glob("*.ckpt")
    return max((file.stat().st_mtime_ns for file in files), default=0)


def ended_with_the_machine(run: Run) -> bool:
    """Return whether the run was ended by a shutdown of the machine rather than by a request to stop.

    The shutdown also ended the supervisor, which therefore has not recorded how the process ended.
    """
    return (
        run.status == "KILLED"
        and run.tags.get("job.request") != "stop"
        and bool(run.tags.get("job.slots"))
        and not run.tags.get("job.exit_code")
        and run.ended_at is not None
        and run.ended_at < psutil.boot_time()
    )


def _number(run: Run, tag: str) -> int:
    value = run.tags.get(tag, "")
    return int(value) if value.isdecimal() else 0
