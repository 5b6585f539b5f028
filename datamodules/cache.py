"""The user's cache: lists of files and reports, which can be computed again. It is never beside the data."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def cache_folder() -> Path | None:
    """Return ``$ARENA_CACHE``, else ``convnet-arena`` in the user's cache; None for a user without a home.

    It is neither the folder of the images, which is often read-only and shared, nor the folder of the runs,
    which people delete to start from scratch. This function does not create it.
    """
    if chosen := os.environ.get("ARENA_CACHE"):
        return Path(chosen).expanduser().absolute()
    try:
        user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return user_cache / "convnet-arena" if user_cache.is_absolute() else None


def write_file(file: Path, content: bytes) -> None:
    """Write a file atomically, even if the power fails. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            sync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def sync(handle: int) -> None:
    """Wait until what was written is on the disk, where the file system supports it."""
    with suppress(OSError):  # not supported by some network file systems
        os.fsync(handle)
