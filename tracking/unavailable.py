"""Why a store cannot be used, in one sentence that says what to do."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tracking.layout import Layout

# HTTP statuses of a server, or of what is before it, that say nothing about the request itself.
RETRIED = frozenset({401, 403, 408, 429, *range(500, 600)})


class StoreUnavailable(Exception):
    """The store cannot be read or written; the message says why and what to do."""


@contextmanager
def reported(store: Layout) -> Iterator[None]:
    """Turn what the file system, SQLite or the way to a server says into one sentence.

    Raises:
        StoreUnavailable: In place of any OSError or sqlite3.Error, also one that MLflow has wrapped, and of a
            server's answer that asking again later may change.
    """
    try:
        yield
    except Exception as error:
        cause = _root_cause(error)
        if cause is None and store.server and server_status(error) in RETRIED:
            cause = error
        if cause is None:
            raise
        raise StoreUnavailable(_explain(store, cause)) from error


def _root_cause(error: BaseException) -> BaseException | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError | sqlite3.Error):
            return seen
        seen = seen.__cause__ or seen.__context__
    # MLflow refuses a database of another version in words of its own, without a cause.
    return error if "database schema" in str(error) else None


def server_status(error: BaseException) -> int | None:
    """The HTTP status of what MLflow raised, None where it has none."""
    status = getattr(error, "get_http_status_code", None)
    return status() if status else None


def _explain_server(server: str, cause: BaseException) -> str:
    if not server.startswith(("http://", "https://")):
        return f"ARENA_TRACKING_URI is {server!r}; it must begin with http:// or https://."
    status = server_status(cause)
    if status in (401, 403):
        return (
            f"The tracking server {server} refuses access; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    what = f"cannot work now (HTTP status {status})" if status else "does not answer"
    return (
        f"The tracking server {server} {what}. Jobs that train go on and deliver what they record later; "
        "see whether it runs and whether ARENA_TRACKING_URI is right."
    )


def _explain(store: Layout, cause: BaseException) -> str:
    text = str(cause)
    # The file system's errors have a number, those of the way to a server are wrapped.
    if store.server and getattr(cause, "errno", None) is None:
        return _explain_server(store.server, cause)
    where = store.database
    elsewhere = "or name another folder in ARENA_MLRUNS"
    if "locked" in text or "busy" in text:
        return f"The MLflow database {where} is locked by another program; try again when it has finished."
    if "not a database" in text or "malformed" in text:
        return f"{where} is not a readable database ({text}); restore a copy or move it away to start afresh."
    if "disk is full" in text or (isinstance(cause, OSError) and cause.errno == errno.ENOSPC):
        return f"The disk that holds {store.root} is full; free some space."
    if "readonly" in text or isinstance(cause, PermissionError) or "Read-only" in text:
        return f"{store.root} cannot be written; make it writable {elsewhere}."
    if isinstance(cause, FileExistsError | NotADirectoryError):
        return f"{store.root} is not a folder; move that file away {elsewhere}."
    if "database schema" in text:
        return f"{where} is of another MLflow version; back it up, then run 'mlflow db upgrade {store.uri}'."
    if not where.exists():
        return f"There is no MLflow database at {where}; `make run` or `python -m jobs submit` creates it."
    if os.geteuid() and not os.access(where, os.R_OK):
        return f"{where} cannot be read; make it readable {elsewhere}."
    return f"The MLflow database {where} cannot be used: {text}."
