"""What anybody may ask of a run; the supervisor and the training process do it."""

import time

from tracking import records, runs
from tracking.store import Store


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
