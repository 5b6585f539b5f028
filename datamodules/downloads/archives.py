"""Checking archives, and unpacking their files only inside the intended folder."""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from datamodules.problems import Archives, DataError, Place
from datamodules.progress import Progress

CHUNK_BYTES = 2**22
LOCK = ".prepare.lock"
# Many small files need more space on the disk than their bytes.
DISK_SHARE = 1.03
TAR_BLOCK = 512


@dataclass(frozen=True)
class Archive:
    """A published file.

    Attributes:
        name: Name of the file.
        md5: MD5 as published.
        size_bytes: Size as published.
        url: Where it can be downloaded; None for ImageNet's archives, which require an account.
    """

    name: str
    md5: str
    size_bytes: int | None = None
    url: str | None = None


def check_archive(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Check that a file is exactly the published archive.

    Raises:
        DataError: It is missing, incomplete or another file.
    """
    file = folder / archive.name
    check_size(archive, folder)
    progress.begin(f"Checking {archive.name}", file.stat().st_size, "bytes")
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            progress.advance(len(chunk))
    if digest.hexdigest() != archive.md5:
        raise DataError(Archives.WRONG_MD5, file=file, found=digest.hexdigest(), expected=archive.md5)
    return file


def check_size(archive: Archive, folder: Path) -> None:
    """Check that a file exists and has the size of the published archive; fast.

    Raises:
        DataError: It is missing or has another size.
    """
    file = folder / archive.name
    try:
        size_bytes = file.stat().st_size
    except OSError as error:
        raise DataError(Archives.MISSING, name=archive.name, folder=folder) from error
    if archive.size_bytes not in (None, size_bytes):
        raise DataError(Archives.WRONG_SIZE, file=file, found=size_bytes, expected=archive.size_bytes)


def check_space(folder: Path, size_bytes: int) -> None:
    """Check that a folder has space for files of this total size.

    Raises:
        DataError: It has not.
    """
    needed, free = size_bytes * DISK_SHARE, shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(Place.NO_SPACE, place=folder, needed_gb=needed / 1e9, free_gb=free / 1e9)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Create a folder and prevent other processes from preparing it at the same time.

    Raises:
        DataError: Another process is preparing it, or the folder cannot be created.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / LOCK, blocking=False):
            yield
    except Timeout as error:
        raise DataError(Place.IN_USE, place=root) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(Place.NOT_A_FOLDER, place=root) from error


def list_files(tar: tarfile.TarFile, wanted: re.Pattern[str]) -> Iterator[tarfile.TarInfo]:
    """Yield the files of a tar whose whole name matches.

    Raises:
        DataError: Any member is a link, a device, or has a name that leads out of the folder; or the tar is
            damaged.
    """
    try:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            is_inside = parts and parts[0] != "/" and ".." not in parts and "\0" not in member.name
            if not is_inside or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
                raise DataError(Archives.FOREIGN_MEMBER, file=str(tar.name), name=member.name)
            if not member.isdir() and wanted.fullmatch(member.name):
                yield member
    except tarfile.TarError as error:
        raise DataError(Archives.DAMAGED, file=str(tar.name), said=str(error)) from error


def unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> None:
    """Write one file atomically, unless it already exists with the right size.

    Raises:
        DataError: The tar is truncated.
    """
    if file.is_file() and file.stat().st_size == member.size:
        return
    part = file.with_name(f".{file.name}.part")
    stream = tar.extractfile(member)
    assert stream is not None
    try:
        with part.open("wb") as target:
            shutil.copyfileobj(stream, target, CHUNK_BYTES)
    except tarfile.TarError as error:
        raise DataError(Archives.DAMAGED, file=str(tar.name), said=str(error)) from error
    part.replace(file)


def room(member: tarfile.TarInfo) -> int:
    """Return the number of bytes of a file in its tar, including header and padding."""
    return TAR_BLOCK + -(-member.size // TAR_BLOCK) * TAR_BLOCK


def measure(folder: Path) -> tuple[int, int]:
    """Return number and total bytes of the files in a folder except hidden ones; zeros if it is missing."""
    try:
        with os.scandir(folder) as entries:
            sizes = [entry.stat().st_size for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return 0, 0
    return len(sizes), sum(sizes)
