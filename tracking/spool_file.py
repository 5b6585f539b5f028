"""A file of what is still to be delivered: one line each, in order, of one process at a time."""

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

Entry = Mapping[str, Any]

BLOCK_BYTES = 2**18


class SpoolFile:
    """Lines that wait; whoever has it open is the only one who adds and takes.

    The kernel gives it free when its process ends, however that happens. What was taken is remembered in
    memory only: after a crash it is delivered again, so deliveries have to bear that.
    """

    def __init__(self, path: Path, stream: FileIO) -> None:
        self.path = path
        self._stream = stream
        self._taken = 0
        _cut(stream)

    @classmethod
    def open(cls, path: Path, *, wait: bool) -> "SpoolFile | None":
        """Take the file, made if it is not there; None where another process has it and one does not wait.

        Raises:
            OSError: It cannot be read and written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            stream = path.open("a+b", buffering=0)
            try:
                fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(stream.fileno()).st_ino == path.stat().st_ino:
                    return cls(path, stream)
            except BlockingIOError:
                stream.close()
                return None
            except FileNotFoundError:
                pass
            stream.close()  # whoever had it before has removed it

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._taken == _size(self._stream)

    def append(self, entry: Entry) -> None:
        """Add a line; on return it is on disk. Raises OSError, and then nothing was added."""
        line = json.dumps(entry).encode() + b"\n"
        before = _size(self._stream)
        try:
            if self._stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._stream.fileno())
        except OSError:
            self._stream.truncate(before)
            raise

    def read(self) -> tuple[list[Entry], int]:
        """Return the first of what waits, and where that ends, which is for `take`."""
        num_bytes = BLOCK_BYTES
        while b"\n" not in (block := os.pread(self._stream.fileno(), num_bytes, self._taken)):
            num_bytes *= 2
        block = block[: block.rindex(b"\n") + 1]
        return [json.loads(line) for line in block.splitlines()], self._taken + len(block)

    def take(self, end: int) -> None:
        """Forget what comes before `end`: it was delivered."""
        self._taken = end
        if self.is_empty:
            self._stream.truncate(0)
            self._taken = 0

    def close(self) -> None:
        """Return the file free, without it if nothing waits."""
        if self.is_empty:
            self.path.unlink(missing_ok=True)
        fcntl.flock(self._stream, fcntl.LOCK_UN)  # processes that were forked have it open too
        self._stream.close()


def _cut(stream: FileIO) -> None:
    """Remove a last line that a crash has left half written."""
    stream.seek(0)
    stream.truncate(stream.read().rfind(b"\n") + 1)


def _size(stream: FileIO) -> int:
    return os.fstat(stream.fileno()).st_size
