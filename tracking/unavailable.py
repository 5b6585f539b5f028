"""Why a store cannot be used: what the file system, SQLite or a server says, as a code."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tracking.layout import Layout
from tracking.problems import StoreUnavailable, Unavailable
from tracking.schema import is_known

# HTTP statuses of a server, or of what is before it, that say nothing about the request itself.
RETRIED = frozenset({401, 403, 408, 429, *range(500, 600)})


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
        cause = _root_cause(store, error)
        if cause is None and store.server and server_status(error) in RETRIED:
            cause = error
        if cause is None:
            raise
        raise _explain(store, cause) from error


def _root_cause(store: Layout, error: BaseException) -> BaseException | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError | sqlite3.Error):
            return seen
        seen = seen.__cause__ or seen.__context__
    # MLflow refuses a database of another version as an error of its own, without a cause.
    if store.server or getattr(error, "error_code", "") != "INTERNAL_ERROR":
        return None
    try:
        return None if is_known(store) else error
    except sqlite3.Error as worse:
        return worse


def server_status(error: BaseException) -> int | None:
    """Return the HTTP status of what MLflow raised, None where it has none."""
    status = getattr(error, "get_http_status_code", None)
    return status() if status else None


def _explain(store: Layout, cause: BaseException) -> StoreUnavailable:
    # The file system's errors have a number, those of the way to a server are wrapped.
    if store.server and getattr(cause, "errno", None) is None:
        status = server_status(cause)
        return StoreUnavailable(_code_of_server(status), server=store.server, status=status)
    if isinstance(cause, sqlite3.Error):
        code = _code_of_database(store, cause)
    elif isinstance(cause, OSError):
        code = _code_of_file(store, cause)
    else:
        code = Unavailable.OTHER_VERSION
    places = {"root": store.root, "database": store.database, "address": store.uri}
    return StoreUnavailable(code, said=cause, **places)


def _code_of_server(status: int | None) -> Unavailable:
    if status in (401, 403):
        return Unavailable.REFUSED
    return Unavailable.SERVER_FAILS if status else Unavailable.NO_ANSWER


def _code_of_database(store: Layout, error: sqlite3.Error) -> Unavailable:
    # The lower eight bits are the kind, the others its details.
    number = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if number in _SQLITE:
        return _SQLITE[number]
    if not store.database.exists():
        return Unavailable.MISSING
    if os.geteuid() and not os.access(store.database, os.R_OK):
        return Unavailable.UNREADABLE
    return Unavailable.UNUSABLE


def _code_of_file(store: Layout, error: OSError) -> Unavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable.FULL
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Unavailable.READ_ONLY
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return Unavailable.NOT_A_FOLDER
    return Unavailable.UNUSABLE if store.database.exists() else Unavailable.MISSING


_SQLITE = {
    sqlite3.SQLITE_BUSY: Unavailable.LOCKED,
    sqlite3.SQLITE_LOCKED: Unavailable.LOCKED,
    sqlite3.SQLITE_NOTADB: Unavailable.DAMAGED,
    sqlite3.SQLITE_CORRUPT: Unavailable.DAMAGED,
    sqlite3.SQLITE_FULL: Unavailable.FULL,
    sqlite3.SQLITE_READONLY: Unavailable.READ_ONLY,
}
