"""Where a conversion goes: a folder or an S3-compatible store, in which files are whole or not there."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from datamodules.cache import sync
from datamodules.problems import DataError, Place, printable
from datamodules.sources import is_address
from datamodules.streams.storage import Bucket, NotThere, open_store, read_file

UNFINISHED = ".part"
MAX_BYTES = 2**27


class Target(Protocol):
    """A place for files in folders, one level deep."""

    @property
    def title(self) -> str:
        """Its name."""

    def locked(self) -> AbstractContextManager[None]:
        """Keeps other processes from writing there, where that can be done; raises DataError."""

    def is_empty(self) -> bool:
        """Tells whether there is nothing at all; raises DataError."""

    def sizes_bytes(self, folder: str) -> dict[str, int]:
        """Returns the files in a folder and their sizes; raises DataError."""

    def read(self, name: str) -> bytes | None:
        """Returns a small file; None if there is none. Raises DataError."""

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Opens a file that is in its place once the context has ended without an error."""

    def free_bytes(self) -> int | None:
        """Returns how much more can be written; None where nobody knows."""


@dataclass(frozen=True)
class FolderTarget:
    """A folder of this machine."""

    root: Path

    @property
    def title(self) -> str:
        """Its path."""
        return printable(self.root)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder and keeps other processes of this machine from writing there; leaves no file."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataError(Place.NOT_A_FOLDER, place=self.root) from error
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise DataError(Place.IN_USE, place=self.root) from error
        finally:
            os.close(handle)

    def is_empty(self) -> bool:
        """Tells whether there is nothing in the folder."""
        return not any(self.root.iterdir())

    def sizes_bytes(self, folder: str) -> dict[str, int]:
        """Returns the files in a folder and their sizes."""
        place = self.root / folder
        if not place.exists():
            return {}
        files = (file for file in place.iterdir() if file.suffix != UNFINISHED and file.is_file())
        return {file.name: file.stat().st_size for file in files}

    def read(self, name: str) -> bytes | None:
        """Returns a small file; None if there is none."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Opens a file that is renamed in the end; what a kill leaves is written over next time."""
        file = self.root / name
        unfinished = file.with_name(file.name + UNFINISHED)
        file.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as stream:
            yield stream
            stream.flush()
            sync(stream.fileno())
        unfinished.replace(file)

    def free_bytes(self) -> int:
        """Returns what is free on the disk."""
        return shutil.disk_usage(
            next(place for place in (self.root, *self.root.parents) if place.exists())
        ).free


@dataclass(frozen=True)
class BucketTarget:
    """A folder of a bucket."""

    address: str

    @property
    def title(self) -> str:
        """Its address."""
        return self.address

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Does nothing: what two processes put there is the same."""
        yield

    def is_empty(self) -> bool:
        """Tells whether there is nothing at this address or below; raises DataError."""
        return self._bucket("").is_empty()

    def sizes_bytes(self, folder: str) -> dict[str, int]:
        """Returns the files in a folder and their sizes; raises DataError."""
        return self._bucket(folder).sizes_bytes()

    def read(self, name: str) -> bytes | None:
        """Returns a small file; None if there is none. Raises DataError."""
        folder, _, file = name.rpartition("/")
        try:
            return read_file(self._bucket(folder), file, MAX_BYTES)
        except NotThere:
            return None

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Opens a file of this machine without a name, which no kill leaves behind, and uploads it."""
        folder, _, file = name.rpartition("/")
        try:
            with tempfile.TemporaryFile() as stream:
                yield stream
                stream.seek(0)
                self._bucket(folder).upload(stream, file)
        except InterruptedError:
            raise
        except OSError as error:
            raise DataError(
                Place.NO_TEMPORARY_SPACE,
                folder=Path(tempfile.gettempdir()),
                name=file,
                place=self.title,
                said=error.strerror,
            ) from error

    def free_bytes(self) -> None:
        """Returns None: a bucket grows."""

    def _bucket(self, folder: str) -> Bucket:
        store = open_store(f"{self.address}/{folder}")
        assert isinstance(store, Bucket)
        return store


def open_target(out: str) -> Target:
    """Returns the place that a user has named.

    Raises:
        DataError: Nothing can be written there.
    """
    if not is_address(out):
        return FolderTarget(Path(out).expanduser())
    if not isinstance(open_store(out), Bucket):
        raise DataError(Place.READ_ONLY, place=out)
    return BucketTarget(out.rstrip("/"))
