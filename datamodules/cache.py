"""Where is kept what can be found out again: lists of files and reports on them. Never beside the data."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def cache_folder() -> Path | None:
    """Returns ``$ARENA_CACHE``, else ``convnet-arena`` in the user's cache; None for a user without a home.

    Neither the folder of the images, often read-only and shared, nor that of the runs, which people delete
    to start afresh. Nothing is created here.
    """
    if chosen := os.environ.get("ARENA_CACHE"):
        return Path(chosen).expanduser().absolute()
    try:
        user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return user_cache / "convnet-arena" if user_cache.is_absolute() else None


def write_file(file: Path, content: bytes) -> None:
    """Puts a file in place whole or not at all, also when the power fails. Raises OSError."""
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
    """Waits until what was written is on the disk, where the file system can say so."""
    with suppress(OSError):  # some network file systems cannot
        os.fsync(handle)
