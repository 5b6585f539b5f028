"""The files of a folder of classes: listed once, kept, checked, and shared by all processes that read them.

A million names as Python strings take 100 MB in every process and seconds to list. Here they are three NumPy
arrays, mapped from files of the user's cache (see `datamodules.cache`), so that ranks and workers share one
copy. What is kept is found under the names and modification times of all class folders: adding, removing or
renaming an image or a class changes one of them, and the folder is listed anew. Overwriting an image in place
does not, nor does it change the list.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.cache import cache_folder, sync, write_file
from datamodules.errors import DataError, printable

# Threads wait for a network file system side by side; on a local disk they neither help nor harm.
NUM_THREADS = 16
# A folder changed within its clock's tick could change again and look the same.
SETTLING_S = 2.0
# Kept this long after the folder has changed, since processes elsewhere may still read them.
KEPT_S = 30 * 24 * 3600
ARRAYS = ("names", "ends", "labels")
CHECKSUMS = "checksums.json"


@dataclass(frozen=True, eq=False)
class FileIndex:
    """Names of files, relative to a folder, and their labels.

    Attributes:
        names: All names one after the other, in the file system's bytes; they may hold any but NUL.
        ends: Where each name ends, int64.
        labels: int32.
        place: Where the arrays are kept; None while they are in memory alone.
    """

    names: NDArray[np.uint8]
    ends: NDArray[np.int64]
    labels: NDArray[np.int32]
    place: Path | None = None

    @classmethod
    def of(cls, files: Sequence[str], labels: Sequence[int]) -> "FileIndex":
        """Returns an index of files that were listed some other way, sorted by name."""
        pairs = sorted((os.fsencode(file), label) for file, label in zip(files, labels, strict=True))
        return cls(
            np.frombuffer(b"".join(name for name, _ in pairs), dtype=np.uint8),
            np.cumsum([len(name) for name, _ in pairs], dtype=np.int64),
            np.array([label for _, label in pairs], dtype=np.int32),
        )

    def __len__(self) -> int:
        return len(self.ends)

    def file(self, number: int) -> str:
        """Returns a name as Python's functions for files take it."""
        start = self.ends[number - 1] if number else 0
        return os.fsdecode(self.names[start : self.ends[number]].tobytes())

    def encoded(self, start: int, stop: int) -> list[bytes]:
        """Returns names in the file system's bytes, many at once."""
        before = int(self.ends[start - 1]) if start else 0
        ends = (self.ends[start:stop] - before).tolist()
        names = self.names[before : before + ends[-1]].tobytes()
        return [names[one:other] for one, other in pairwise([0, *ends])]

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker that is not forked maps the files as well, instead of getting a copy of them.
        if self.place is not None:
            return reopen, (self.place,)
        return FileIndex, (self.names, self.ends, self.labels)


def read_index(folder: Path, classes: Sequence[str]) -> FileIndex:
    """Returns the files of all class folders, sorted, hidden ones left out; those kept, if nothing changed.

    Args:
        folder: Holds the class folders.
        classes: Their names; their places are the labels.

    Raises:
        DataError: A class folder cannot be read, or holds no files.
    """
    cache = cache_folder()
    stamp = _stamp(folder, classes)
    if cache is None or stamp is None:
        return build_index(folder, classes)
    where = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    place = cache / "index" / where / stamp
    kept = _load(place)
    if kept is not None:
        return kept
    built = build_index(folder, classes)
    return _load(place) or built if _keep(built, place) else built


def build_index(folder: Path, classes: Sequence[str]) -> FileIndex:
    """Lists all class folders.

    Raises:
        DataError: One cannot be read, or holds no files.
    """

    def list_class(name: str) -> tuple[bytes, NDArray[np.int64]]:
        found = list_names(folder / name, _is_file)
        if not found:
            raise DataError(f"The class folder {printable(folder / name)} has no images; fill or remove it.")
        start = os.fsencode(name) + b"/"
        return start + start.join(found), np.fromiter(map(len, found), np.int64) + len(start)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        parts = list(pool.map(list_class, classes))
    lengths = [part for _, part in parts]
    return FileIndex(
        np.frombuffer(b"".join(names for names, _ in parts), dtype=np.uint8),
        np.cumsum(np.concatenate(lengths)),
        np.repeat(np.arange(len(classes), dtype=np.int32), [len(part) for part in lengths]),
    )


def list_names(folder: Path, is_wanted: Callable[["os.DirEntry[bytes]"], bool]) -> list[bytes]:
    """Returns the sorted names of what is wanted in a folder, hidden files apart.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            return sorted([entry.name for entry in entries if entry.name[0] != 0x2E and is_wanted(entry)])
    except OSError as error:
        raise DataError(f"{printable(folder)} cannot be read: {error.strerror}.") from error


def reopen(place: Path) -> FileIndex:
    """Maps an index that is kept.

    Raises:
        DataError: It is gone or damaged.
    """
    kept = _load(place)
    if kept is None:
        raise DataError(f"The list of files in {place} is gone or damaged; start again to have a new one.")
    return kept


def _is_file(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # such as a link that leads to itself
        return False


def _stamp(folder: Path, classes: Sequence[str]) -> str | None:
    """Returns a digest of what changes with the list; None for a folder that is changing just now."""
    try:
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            times = list(pool.map(lambda name: (folder / name).stat().st_mtime_ns, classes))
    except OSError as error:
        raise DataError(f"{printable(error.filename)} cannot be read: {error.strerror}.") from error
    now = time.time_ns()
    if any(abs(now - changed) < SETTLING_S * 1e9 for changed in times):
        return None
    lines = (b"%d %s\0" % (changed, os.fsencode(name)) for changed, name in zip(times, classes, strict=True))
    return hashlib.sha256(b"".join(lines)).hexdigest()[:32]


def _load(place: Path) -> FileIndex | None:
    """Maps what is kept; None if there is nothing, or if it is damaged."""
    try:
        checksums = json.loads((place / CHECKSUMS).read_bytes())
        # As plain arrays over the mapped memory: np.memmap's own slices take ten times as long.
        arrays = [
            np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for name in ARRAYS
        ]
        if checksums != {name: zlib.crc32(array) for name, array in zip(ARRAYS, arrays, strict=True)}:
            return None
    except (OSError, ValueError, EOFError):
        return None
    names, ends, labels = arrays
    return FileIndex(names, ends, labels, place)


def _keep(index: FileIndex, place: Path) -> bool:
    """Writes an index so that it is there whole or not at all; False where that cannot be done."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _forget_old(place.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    except OSError:
        return False
    try:
        arrays = {name: getattr(index, name) for name in ARRAYS}
        for name, array in arrays.items():
            with (temporary / f"{name}.npy").open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
                stream.flush()
                sync(stream.fileno())
        checksums = {name: zlib.crc32(array) for name, array in arrays.items()}
        write_file(temporary / CHECKSUMS, json.dumps(checksums).encode())
        shutil.rmtree(place, ignore_errors=True)  # a damaged one
        temporary.rename(place)
    except OSError:  # a full disk, or another process was first
        shutil.rmtree(temporary, ignore_errors=True)
        return _load(place) is not None
    return True


def _forget_old(folder: Path) -> None:
    for place in folder.iterdir():
        with suppress(OSError):
            if time.time() - place.stat().st_mtime > KEPT_S:
                shutil.rmtree(place, ignore_errors=True)
