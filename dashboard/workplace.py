"""The store this dashboard shows and the supervisor that works on it."""

import time
from functools import lru_cache

from jobs.supervision.supervisor import ensure_supervisor
from tracking.store import Store

CHECK_EVERY_S = 15


def open_store() -> Store:
    """Open the store of this process, creating it on first use.

    Raises:
        StoreUnavailable: the store cannot be created or read.
    """
    return _open(Store.default())


def keep_supervised(store: Store) -> None:
    """Make sure that a supervisor works on the store; looks at most every few seconds."""
    _ensure(store, int(time.monotonic() // CHECK_EVERY_S))


@lru_cache(maxsize=8)
def _open(store: Store) -> Store:
    return store.open()


@lru_cache(maxsize=8)
def _ensure(store: Store, period: int) -> None:
    ensure_supervisor(store)
