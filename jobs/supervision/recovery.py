"""Runs that lost their process go on by themselves, as long as they get anywhere."""

import os

import psutil

from jobs.engines import CLUSTER_TAGS
from jobs.submission.requests import LOST, LOST_REASON, put_back
from tracking.runs import Run
from tracking.store import Store

# So often a run goes on by itself without a newer checkpoint than the time before.
MAX_RESUMES = 3
SETTING = "ARENA_AUTO_RESUMES"

# What says which process a run has, when it has none.
NO_PROCESS = dict.fromkeys(("job.pid", "job.create_time", "job.slots", *CLUSTER_TAGS), "")
CHECKPOINT = "job.lost_checkpoint"


def max_resumes() -> int:
    """What the environment says, otherwise the default; 0 switches it off.

    Raises:
        ValueError: It is no number.
    """
    value = os.environ.get(SETTING) or str(MAX_RESUMES)
    if not value.isdecimal():
        raise ValueError(f"{SETTING} is {value!r}; it must be a number from 0.")
    return int(value)


def go_on(store: Store, run: Run, reason: str, limit: int) -> str:
    """Put a run that lost its process back, unless that has happened too often without progress.

    Args:
        store: Where it is.
        run: One that a supervisor has started; somebody's own process is his to start again.
        reason: A sentence.
        limit: So many times without a newer checkpoint than the time before.

    Returns:
        Empty when it goes on, otherwise why it does not.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    if not run.tags.get("job.slots") or not limit:
        return reason
    newest = newest_checkpoint(store, run.run_id)
    times = 1 if newest > _number(run, CHECKPOINT) else _number(run, LOST) + 1
    if times > limit:
        again = "once" if limit == 1 else f"{limit} times"
        return (
            f"{reason} It went on by itself {again} without getting to a new checkpoint; resume it by hand."
        )
    put_back(store, run.run_id, {**NO_PROCESS, LOST: times, CHECKPOINT: newest, LOST_REASON: reason})
    return ""


def newest_checkpoint(store: Store, run_id: str) -> int:
    """When the newest checkpoint was written, unix nanoseconds; 0 when there is none."""
    files = store.checkpoint_folder(run_id).glob("*.ckpt")
    return max((file.stat().st_mtime_ns for file in files), default=0)


def ended_with_the_machine(run: Run) -> bool:
    """Whether a shutdown ended the run: the machine asked its process to go, nobody asked the run to stop.

    Its supervisor had to go, too, and so has not noted how the process ended.
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
