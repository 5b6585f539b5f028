"""Requests to stop, resume or delete a run; the supervisor and the training process carry them out."""

import time
from collections.abc import Mapping

from jobs.problems import Refused
from problems import InvalidValue
from tracking import records, runs
from tracking.entities import HOME
from tracking.runs import Run
from tracking.spool import deliver_left
from tracking.store import Store
from training.problems import FAILURE

# The tags of a run that was interrupted: how often without a newer checkpoint, and why.
LOST, LOST_REASON = "job.lost", "job.lost_reason"


def request_stop(store: Store, run_id: str) -> None:
    """Ask a run to save a checkpoint and stop; a waiting run is not started any more.

    Raises:
        InvalidValue: There is no such run, or it has ended.
        StoreUnavailable: The store cannot be written.
    """
    run = runs.get_run(store, run_id)
    if run.is_terminal:
        raise InvalidValue(Refused.HAS_ENDED, name=run.name, status=run.status)
    if run.is_stopping:
        return  # a second request does not extend the grace period
    tags = {"job.request": "stop", "job.stop_requested_at": int(time.time() * 1000)}
    records.set_tags(store, run_id, tags)


def can_resume(store: Store, run: Run) -> bool:
    """Return whether a run failed or was stopped, and has a checkpoint to resume from."""
    return run.status in ("FAILED", "KILLED") and any(store.checkpoint_folder(run.run_id).glob("*.ckpt"))


def resume(store: Store, run_id: str) -> None:
    """Put a run that failed or was stopped back into the queue; it continues in the same record.

    It starts when it is next in the queue and its earlier process has ended.

    Raises:
        InvalidValue: There is no such run, it is active or finished, or it has no checkpoint.
        StoreUnavailable: The store cannot be written.
    """
    deliver_left(store, run_id)
    run = runs.get_run(store, run_id)
    if not runs.is_ours(store, run):
        raise InvalidValue(Refused.ELSEWHERE, name=run.name, home=run.tags.get(HOME))
    if run.status not in ("FAILED", "KILLED"):
        raise InvalidValue(Refused.NOT_RESUMABLE, name=run.name, status=run.status)
    if not can_resume(store, run):
        raise InvalidValue(Refused.NO_CHECKPOINT, name=run.name)
    put_back(store, run_id, dict.fromkeys((LOST, LOST_REASON), ""))


def put_back(store: Store, run_id: str, tags: Mapping[str, object]) -> None:
    """Put a run that has ended back into the queue, to continue in the same record.

    The tags of its earlier process are kept, so that the supervisor waits for the end of that process.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    again = {"job.request": "resume", "job.error": "", FAILURE: "", "job.exit_code": "", **tags}
    records.set_tags(store, run_id, again)
    # Written last, because the supervisor looks for SCHEDULED.
    records.set_status(store, run_id, "SCHEDULED")


def delete_run(store: Store, run_id: str) -> None:
    """Delete a run that has ended, with its log and checkpoints.

    Raises:
        InvalidValue: There is no such run, or it is active.
        StoreUnavailable: The store cannot be written.
    """
    run = runs.get_run(store, run_id)
    if run.is_active:
        raise InvalidValue(Refused.NOT_DELETABLE, name=run.name, status=run.status)
    records.delete_run(store, run_id)
