"""Cache of chunks on the local disk: downloaded when needed, limited in size, shared by processes.

One limit applies to all data sets together. A process that needs a missing chunk downloads it; others that
need the same chunk wait. This takes two kinds of locks, which the operating system releases when a process
dies: one on the unfinished file, and one on the folder while space is freed. No other files are left behind.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from datamodules.problems import Cache, DataError
from datamodules.streams.storage import Store, download

UNFINISHED = ".part"
# Downloads in advance at a time by each process, besides the chunk that it waits for.
MAX_AHEAD = 2


@dataclass
class Ahead:
    """The downloads of a process in the background; not shared with other processes."""

    process: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: set[str] = field(default_factory=set)


class ChunkCache:
    """The chunks of one split.

    Args:
        store: Where chunks are downloaded from.
        root: Folder of all cached chunks, of any data set.
        folder: Folder of these chunks, two levels below the root; created with the first chunk.
        limit_bytes: Limit for all chunks below the root.
    """

    def __init__(self, store: Store, root: Path, folder: Path, limit_bytes: int) -> None:
        self.store, self.root, self.folder, self.limit_bytes = store, root, folder, limit_bytes
        self._ahead = Ahead()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_ahead"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _ahead=Ahead())

    @contextmanager
    def open(self, name: str, size_bytes: int) -> Iterator[int]:
        """Open a chunk for reading; it stays readable in the context even if it is removed meanwhile.

        Raises:
            DataError: It cannot be downloaded.
        """
        path = self.folder / name
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            handle = self._fetch(name, size_bytes)
        try:
            os.utime(handle)  # the least recently used chunk is removed first
            yield handle
        finally:
            os.close(handle)

    def expect(self, name: str, size_bytes: int) -> None:
        """Start to download a chunk that will be needed soon; errors are reported when it is needed."""
        if self._ahead.process != os.getpid():
            self._ahead = Ahead()
        ahead = self._ahead
        with ahead.lock:
            if name in ahead.begun or len(ahead.begun) == MAX_AHEAD or (self.folder / name).exists():
                return
            ahead.begun.add(name)
        threading.Thread(target=self._fetch_ahead, args=(ahead, name, size_bytes), daemon=True).start()

    def _fetch_ahead(self, ahead: Ahead, name: str, size_bytes: int) -> None:
        try:
            with suppress(DataError, OSError):
                os.close(self._fetch(name, size_bytes, waits=False))
        finally:
            with ahead.lock:
                ahead.begun.discard(name)

    def _fetch(self, name: str, size_bytes: int, waits: bool = True) -> int:
        """Download a chunk, or wait until another process has, and open it."""
        if size_bytes > self.limit_bytes:
            raise DataError(Cache.CHUNK_TOO_LARGE, name=name, limit=self.limit_bytes)
        path, unfinished = self.folder / name, self.folder / (name + UNFINISHED)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _lock(unfinished, waits) as file:
                with suppress(FileNotFoundError):
                    handle = os.open(path, os.O_RDONLY)
                    unfinished.unlink()
                    return handle
                self._make_room(unfinished, size_bytes)
                download(self.store, name, file, size_bytes)
                file.flush()
                unfinished.rename(path)
                return os.open(path, os.O_RDONLY)
        except BlockingIOError:
            raise
        except OSError as error:
            raise DataError(Cache.FAILED, folder=self.folder, name=name, said=error.strerror) from error

    def _make_room(self, unfinished: Path, size_bytes: int) -> None:
        """Remove the least recently used chunks, and reserve space for a new one."""
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            found = kept_chunks(self.root)
            found.pop(unfinished, None)
            kept = sum(status.st_size for status in found.values())
            for file in sorted(found, key=lambda file: found[file].st_mtime):
                if kept + size_bytes <= self.limit_bytes:
                    break
                if file.suffix != UNFINISHED or _is_orphan(file):
                    file.unlink(missing_ok=True)
                    kept -= found[file].st_size
            os.truncate(unfinished, size_bytes)
        finally:
            os.close(handle)


def kept_chunks(root: Path) -> dict[Path, os.stat_result]:
    """Return all cached files of all splits, including unfinished ones."""
    found = {}
    for file in root.glob("*/*/*"):
        with suppress(FileNotFoundError):  # removed meanwhile
            found[file] = file.stat()
    return found


@contextmanager
def _lock(unfinished: Path, waits: bool) -> Iterator[BinaryIO]:
    """Open and lock a file; raise BlockingIOError if another process has locked it and ``waits`` is False."""
    while True:
        with os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            # The process that held the lock may have renamed or removed the file.
            if _is_at(file, unfinished):
                yield file
                return


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _is_orphan(unfinished: Path) -> bool:
    """Return whether the process that was writing a file has died."""
    try:
        with unfinished.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
