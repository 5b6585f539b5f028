"""Decoding large pictures: up to a limit, and only one at a time, so that memory stays below 1 GB."""

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.problems import Defect
from problems import InvalidValue

# More than the cameras of ImageNet's time produced; larger ones are a mistake or an attack on the memory.
# With 7 bytes per pixel, it leaves enough for the rest of a process below 1 GB.
MAX_PIXELS = 50_000_000
# Smaller pictures can be decoded by all processes at a time.
LARGE_PIXELS = 2**24


@contextmanager
def admitted(height: int, width: int) -> Iterator[None]:
    """Allow a picture to be decoded in this context; a large one waits for those of other processes.

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
    """Wait for a lock on a file of this user; it is released when the file is closed."""
    try:
        import fcntl

        place = Path(tempfile.gettempdir()) / f"large-pictures-{os.getuid()}.lock"
        lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except (ImportError, OSError):
        return None
    return lock


def _give_back() -> None:
    """Return freed memory to the system, since training configures the allocator to keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
