"""What anybody may ask of a run; the supervisor and the training process do it."""

import time
from collections.abc import Mapping

from tracking import records, runs
from tracking.entities import HOME
from tracking.runs import Run
from tracking.spool import deliver_left
from tracking.store import Store
from training.problems import FAILURE

# The tags of a run that lost its process: how often without a newer checkpoint, and why.
LOST, LOST_REASON = "job.lost", "job.lost_reason"


def request_stop(store: Store, run_id: str) -> None:
    """Ask a run to stop: it saves a checkpoint and leaves; one that waits is never started.

    Raises:
        ValueError: There is no such run, or it has ended.
        StoreUnavailable: The store cannot be written.
    """
    run = runs.get_run(store, run_id)
    if run.is_terminal:
        raise ValueError(f"{run.name} has already ended ({run.status}).")
    if run.is_stopping:
        return  # asking twice does not prolong the grace
    tags = {"job.request": "stop", "job.stop_requested_at": int(time.time() * 1000)}
    records.set_tags(store, run_id, tags)


def can_resume(store: Store, run: Run) -> bool:
    """Whether a run ended before it was done and left a checkpoint to go on from."""
    return run.status in ("FAILED", "KILLED") and any(store.checkpoint_folder(run.run_id).glob("*.ckpt"))


def resume(store: Store, run_id: str) -> None:
    """Put a run that was stopped, or failed, back into the queue: it goes on in the same record.

    It starts in its turn and not before its earlier process has gone.

    Raises:
        ValueError: There is no such run, it is active or done, or has no checkpoint.
        StoreUnavailable: The store cannot be written.
    """
    deliver_left(store, run_id)
    run = runs.get_run(store, run_id)
    if not runs.is_ours(store, run):
        raise ValueError(f"{run.name} belongs to {run.tags.get(HOME)}, where its checkpoints are.")
    if run.status not in ("FAILED", "KILLED"):
        raise ValueError(f"{run.name} is {run.status}; only a run that failed or was stopped can go on.")
    if not can_resume(store, run):
        raise ValueError(f"{run.name} has no checkpoint to go on from; clone it to train it anew.")
    put_back(store, run_id, dict.fromkeys((LOST, LOST_REASON), ""))


def put_back(store: Store, run_id: str, tags: Mapping[str, object]) -> None:
    """Put a run that has ended back into the queue, to go on in the same record.

    What says which process it had stays: the supervisor starts no other one before that has gone.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    again = {"job.request": "resume", "job.error": "", FAILURE: "", "job.exit_code": "", **tags}
    records.set_tags(store, run_id, again)
    # Last, because SCHEDULED is the sign for the supervisor.
    records.set_status(store, run_id, "SCHEDULED")


def delete_run(store: Store, run_id: str) -> None:
    """Delete a run that has ended, with its log and checkpoints.

    Raises:
        ValueError: There is no such run, or it is active.
        StoreUnavailable: The store cannot be written.
    """
    run = runs.get_run(store, run_id)
    if run.is_active:
        raise ValueError(f"{run.name} is {run.status}; stop it before deleting it.")
    records.delete_run(store, run_id)
