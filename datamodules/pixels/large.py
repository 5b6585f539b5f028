"""Large pictures: up to a limit, and one at a time on a machine, so that memory stays below 1 GB."""

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.problems import Defect
from problems import InvalidValue

# Larger than what cameras of ImageNet's time made; more is a mistake or an attack on the memory. At 7 bytes a
# pixel it leaves room for the rest of a process below 1 GB.
MAX_PIXELS = 50_000_000
# Of what is smaller, each process may have one.
LARGE_PIXELS = 2**24


@contextmanager
def admitted(height: int, width: int) -> Iterator[None]:
    """Let a picture be decoded in here; a large one waits for those of other processes.

    Raises:
        InvalidValue: It has too many pixels.
    """
    if height * width > MAX_PIXELS:
        raise InvalidValue(Defect.TOO_MANY_PIXELS, limit=MAX_PIXELS)
    if height * width <= LARGE_PIXELS:
        yield
        return
    lock = _lock()
    try:
        yield
    finally:
        _give_back()
        if lock is not None:
            os.close(lock)


def _lock() -> int | None:
    """Open a file of this user's and waits for its lock, which goes with the opened file."""
    try:
        import fcntl

        place = Path(tempfile.gettempdir()) / f"large-pictures-{os.getuid()}.lock"
        lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except (ImportError, OSError):
        return None
    return lock


def _give_back() -> None:
    """Have the allocator, which training tells to keep what is freed, return it to the system."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
