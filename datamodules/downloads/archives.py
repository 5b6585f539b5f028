"""Archives as downloaded: whether they are whole, and how their files get onto the disk, and nowhere else."""

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

from datamodules.errors import DataError
from datamodules.progress import Progress

CHUNK_BYTES = 2**22
LOCK = ".prepare.lock"
# What the blocks of many small files take on the disk beyond their bytes.
DISK_SHARE = 1.03
TAR_BLOCK = 512


@dataclass(frozen=True)
class Archive:
    """A published file.

    Attributes:
        name: Of the file.
        md5: As published.
        size_bytes: The same.
        url: Where anybody can fetch it; None for ImageNet's, which ask for an account.
    """

    name: str
    md5: str
    size_bytes: int | None = None
    url: str | None = None


def check_archive(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Makes sure that a file is the published archive, to the last bit.

    Raises:
        DataError: It is missing, not whole or another one.
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
        raise DataError(
            f"{file} is damaged: its MD5 is {digest.hexdigest()} and not {archive.md5}; download it again."
        )
    return file


def check_size(archive: Archive, folder: Path) -> None:
    """Makes sure, in no time, that a file is there and as long as the published archive.

    Raises:
        DataError: It is not.
    """
    file = folder / archive.name
    try:
        size_bytes = file.stat().st_size
    except OSError as error:
        raise DataError(f"There is no {archive.name} in {folder}; put it there as downloaded.") from error
    if archive.size_bytes not in (None, size_bytes):
        raise DataError(
            f"{file} has {size_bytes:,} bytes and not {archive.size_bytes:,}; download it anew or to its end."
        )


def check_space(folder: Path, size_bytes: int) -> None:
    """Makes sure that files of this size in total fit into a folder.

    Raises:
        DataError: They do not.
    """
    needed, free = size_bytes * DISK_SHARE, shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"Unpacking takes {needed / 1e9:,.1f} GB more in {folder}, but {free / 1e9:,.1f} GB are free; "
            f"make room or choose another root."
        )


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Makes a folder and keeps a second process from preparing it at the same time.

    Raises:
        DataError: Another one is at it, or there can be no such folder.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / LOCK, blocking=False):
            yield
    except Timeout as error:
        raise DataError(f"Another process is preparing {root} right now; wait for it to end.") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{root} is no folder; name one that can hold the images.") from error


def list_files(tar: tarfile.TarFile, wanted: re.Pattern[str]) -> Iterator[tarfile.TarInfo]:
    """Gives the files of a tar whose whole name matches, one after the other.

    Raises:
        DataError: There is a link, a device or a name that leads out of the folder, wanted or not; or the tar
            is damaged.
    """
    try:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            is_inside = parts and parts[0] != "/" and ".." not in parts and "\0" not in member.name
            if not is_inside or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
                raise DataError(
                    f"The archive {tar.name!s} holds {member.name!r}, which is no plain file inside of it; "
                    f"it is not the published one."
                )
            if not member.isdir() and wanted.fullmatch(member.name):
                yield member
    except tarfile.TarError as error:
        raise DataError(f"The archive {tar.name!s} is damaged: {error}.") from error


def unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> None:
    """Writes one file, unless it is there in full; killed at any moment, it leaves the whole file or none.

    Raises:
        DataError: The tar ends too early.
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
        raise DataError(f"The archive {tar.name!s} is damaged: {error}.") from error
    part.replace(file)


def room(member: tarfile.TarInfo) -> int:
    """Returns the bytes that a file takes in its tar."""
    return TAR_BLOCK + -(-member.size // TAR_BLOCK) * TAR_BLOCK


def measure(folder: Path) -> tuple[int, int]:
    """Returns number and bytes of the files of a folder, hidden ones apart; zeros where there is none."""
    try:
        with os.scandir(folder) as entries:
            sizes = [entry.stat().st_size for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return 0, 0
    return len(sizes), sum(sizes)
