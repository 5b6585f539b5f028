"""Checkpoints of finished runs on their way to where a tracking server keeps its artifacts.

Which are due is noted in the spool, one empty file a run: the training process has only to make it.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracking import runs
from tracking.client import client
from tracking.layout import checked
from tracking.problems import StoreUnavailable
from tracking.spool import put_aside
from tracking.store import Store
from tracking.unavailable import RETRIED, reported

# The first that is there: the weights of the lowest top-1 error, or where the run was last.
CHECKPOINTS = ("best.ckpt", "last.ckpt")
DUE = ".upload"
# Of a run's artifacts.
FOLDER = "checkpoints"
# The server answers only when it has passed the whole file on.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "900"}

log = logging.getLogger("tracking.uploads")


def expect(store: Store, run_id: str) -> None:
    """Note that a checkpoint of the run, which is about to be FINISHED, is to be uploaded; takes no time.

    Raises:
        StoreUnavailable: The note cannot be written.
    """
    with reported(store):
        store.spool.mkdir(parents=True, exist_ok=True)
        _note(store, run_id).touch()


def list_due(store: Store) -> list[str]:
    """Return the ids of the runs of which a checkpoint is to be uploaded."""
    return sorted(path.stem for path in store.spool.glob(f"*{DUE}"))


def upload(store: Store, run_id: str) -> Path | None:
    """Upload the first of the run's `CHECKPOINTS`, and forget that it was due.

    An upload that was interrupted begins anew, and one that is done twice has the same result. What the
    server refuses for good is put aside. Meanwhile requests of this process may take minutes, so that it
    should be one that does nothing else.

    Args:
        store: Has the run, on a server, and its checkpoints.
        run_id: One of `list_due`.

    Returns:
        The file that has arrived. None where none has: the server does not know yet that the run has
        finished (it stays due), or it was deleted, continues, or has no checkpoint.

    Raises:
        StoreUnavailable: It has not arrived and stays due.
    """
    try:
        run = runs.get_run(store, run_id)
    except ValueError:  # deleted
        _note(store, run_id).unlink(missing_ok=True)
        return None
    if run.is_active:
        return None
    files = [store.checkpoint_folder(run_id) / name for name in CHECKPOINTS]
    file = next((file for file in files if file.is_file()), None) if run.status == "FINISHED" else None
    if file is not None and not _send(store, run_id, file):
        file = None
    _note(store, run_id).unlink(missing_ok=True)
    return file


def _note(store: Store, run_id: str) -> Path:
    return store.spool / f"{checked(run_id)}{DUE}"


def _send(store: Store, run_id: str, file: Path) -> bool:
    """Whether it has arrived; otherwise it never will."""
    mlflow = client(store)
    try:
        with _patient(), reported(store):
            mlflow.log_artifact(run_id, str(file), FOLDER)
    except StoreUnavailable as problem:
        status = getattr(getattr(problem.__cause__, "response", None), "status_code", 0)
        if not 400 <= status < 500 or status in RETRIED:
            raise
        put_aside(store, run_id, {"upload": file.name}, problem.__cause__ or problem)
        return False
    return True


@contextmanager
def _patient() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in PATIENCE}
    os.environ.update(PATIENCE)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
