"""Targets of a conversion: a folder or an S3-compatible store, in which files are written atomically."""

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
    """A place for files and folders, one level deep."""

    @property
    def title(self) -> str:
        """Name of the target, for messages."""

    def locked(self) -> AbstractContextManager[None]:
        """Lock the target against other processes, if supported. Raises DataError."""

    def is_empty(self) -> bool:
        """Return whether the target is empty. Raises DataError."""

    def sizes_bytes(self, folder: str) -> dict[str, int]:
        """Return the files in a folder and their sizes. Raises DataError."""

    def read(self, name: str) -> bytes | None:
        """Return a small file; None if it is missing. Raises DataError."""

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file that appears when the context ends without an error."""

    def free_bytes(self) -> int | None:
        """Return the free space in bytes; None if unknown."""


@dataclass(frozen=True)
class FolderTarget:
    """A folder of this machine."""

    root: Path

    @property
    def title(self) -> str:
        """Path of the folder."""
        return printable(self.root)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it against other processes of this machine; no file is left behind."""
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
        """Return whether the folder is empty."""
        return not any(self.root.iterdir())

    def sizes_bytes(self, folder: str) -> dict[str, int]:
        """Return the files in a folder and their sizes."""
        place = self.root / folder
        if not place.exists():
            return {}
        files = (file for file in place.iterdir() if file.suffix != UNFINISHED and file.is_file())
        return {file.name: file.stat().st_size for file in files}

    def read(self, name: str) -> bytes | None:
        """Return a small file; None if it is missing."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Open a file that is renamed at the end; the file of a killed process is overwritten next time."""
        file = self.root / name
        unfinished = file.with_name(file.name + UNFINISHED)
        file.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as stream:
            yield stream
            stream.flush()
            sync(stream.fileno())
        unfinished.replace(file)

    def free_bytes(self) -> int:
        """Return the free space of the disk in bytes."""
        return shutil.disk_usage(
            next(place for place in (self.root, *self.root.parents) if place.exists())
        ).free


@dataclass(frozen=True)
class BucketTarget:
    """A folder of a bucket."""

    address: str

    @property
    def title(self) -> str:
        """Address of the folder."""
        return self.address

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Do nothing, since two processes would write the same files."""
        yield

    def is_empty(self) -> bool:
        """Return whether there is nothing at this address or below it. Raises DataError."""
        return self._bucket("").is_empty()

    def sizes_bytes(self, folder: str) -> dict[str, int]:
        """Return the files in a folder and their sizes. Raises DataError."""
        return self._bucket(folder).sizes_bytes()

    def read(self, name: str) -> bytes | None:
        """Return a small file; None if it is missing. Raises DataError."""
        folder, _, file = name.rpartition("/")
        try:
            return read_file(self._bucket(folder), file, MAX_BYTES)
        except NotThere:
            return None

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Open a temporary file without a name, which a killed process cannot leave behind, and upload it."""
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
        """Return None, since buckets have no fixed size."""

    def _bucket(self, folder: str) -> Bucket:
        store = open_store(f"{self.address}/{folder}")
        assert isinstance(store, Bucket)
        return store


def open_target(out: str) -> Target:
    """Return the target that a user has named.

    Raises:
        DataError: The address cannot be written.
    """
    if not is_address(out):
        return FolderTarget(Path(out).expanduser())
    if not isinstance(open_store(out), Bucket):
        raise DataError(Place.READ_ONLY, place=out)
    return BucketTarget(out.rstrip("/"))
