"""The files of a folder of classes: listed once, cached, and shared by all processes that read them.

A million names as Python strings take 100 MB in every process and seconds to list. Here they are three NumPy
arrays, memory-mapped from files in the user's cache (see `datamodules.cache`), so that ranks and workers
share one copy. The cache key consists of the names and modification times of all class folders: adding,
removing or renaming an image or a class changes it, and the folder is listed again. Overwriting an image in
place changes neither the key nor the list.
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
from datamodules.problems import DataError, Reading, Root

# Many threads can wait for a network file system at once; on a local disk they make no difference.
NUM_THREADS = 16
# A folder could change twice within the resolution of its modification time.
SETTLING_S = 2.0
# Lists are kept this long after the folder has changed, since other processes may still read them.
KEPT_S = 30 * 24 * 3600
ARRAYS = ("names", "ends", "labels")
CHECKSUMS = "checksums.json"


@dataclass(frozen=True, eq=False)
class FileIndex:
    """Names of files, relative to a folder, and their labels.

    Attributes:
        names: All names concatenated, in the file system's bytes, which may be any except NUL.
        ends: Index after the end of each name, int64.
        labels: Label of each file, int32.
        place: Folder with the arrays; None if they are only in memory.
    """

    names: NDArray[np.uint8]
    ends: NDArray[np.int64]
    labels: NDArray[np.int32]
    place: Path | None = None

    @classmethod
    def of(cls, files: Sequence[str], labels: Sequence[int]) -> "FileIndex":
        """Return an index of files that were listed in another way, sorted by name."""
        pairs = sorted((os.fsencode(file), label) for file, label in zip(files, labels, strict=True))
        return cls(
            np.frombuffer(b"".join(name for name, _ in pairs), dtype=np.uint8),
            np.cumsum([len(name) for name, _ in pairs], dtype=np.int64),
            np.array([label for _, label in pairs], dtype=np.int32),
        )

    def __len__(self) -> int:
        return len(self.ends)

    def file(self, number: int) -> str:
        """Return the name of a file, as Python's file functions expect it."""
        start = self.ends[number - 1] if number else 0
        return os.fsdecode(self.names[start : self.ends[number]].tobytes())

    def encoded(self, start: int, stop: int) -> list[bytes]:
        """Return the names of a range of files, in the file system's bytes."""
        before = int(self.ends[start - 1]) if start else 0
        ends = (self.ends[start:stop] - before).tolist()
        names = self.names[before : before + ends[-1]].tobytes()
        return [names[one:other] for one, other in pairwise([0, *ends])]

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker that is not forked also maps the files, instead of getting a copy of the arrays.
        if self.place is not None:
            return reopen, (self.place,)
        return FileIndex, (self.names, self.ends, self.labels)


def read_index(folder: Path, classes: Sequence[str]) -> FileIndex:
    """Return the sorted files of all class folders, without hidden ones; from the cache if nothing changed.

    Args:
        folder: Folder of the class folders.
        classes: Names of the class folders in the order of the labels.

    Raises:
        DataError: A class folder has no files.
        OSError: A class folder cannot be read.
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
    """List all class folders.

    Raises:
        DataError: One has no files.
        OSError: One cannot be read.
    """

    def list_class(name: str) -> tuple[bytes, NDArray[np.int64]]:
        found = list_names(folder / name, _is_file)
        if not found:
            raise DataError(Root.EMPTY_CLASS, folder=folder / name)
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
    """Return the sorted names of the wanted entries of a folder, without hidden ones. Raises OSError."""
    with os.scandir(os.fsencode(folder)) as entries:
        return sorted([entry.name for entry in entries if entry.name[0] != 0x2E and is_wanted(entry)])


def reopen(place: Path) -> FileIndex:
    """Map the arrays of an index from the cache.

    Raises:
        DataError: They are missing or damaged.
    """
    kept = _load(place)
    if kept is None:
        raise DataError(Reading.INDEX_GONE, folder=place)
    return kept


def _is_file(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # such as a link to itself
        return False


def _stamp(folder: Path, classes: Sequence[str]) -> str | None:
    """Return the cache key of a folder's list; None if the folder has just changed."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        times = list(pool.map(lambda name: (folder / name).stat().st_mtime_ns, classes))
    now = time.time_ns()
    if any(abs(now - changed) < SETTLING_S * 1e9 for changed in times):
        return None
    lines = (b"%d %s\0" % (changed, os.fsencode(name)) for changed, name in zip(times, classes, strict=True))
    return hashlib.sha256(b"".join(lines)).hexdigest()[:32]


def _load(place: Path) -> FileIndex | None:
    """Map the arrays in a folder; return None if they are missing or damaged."""
    try:
        checksums = json.loads((place / CHECKSUMS).read_bytes())
        # Plain arrays over the mapped memory: slices of np.memmap take ten times as long.
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
    """Write an index atomically; return False if that is not possible."""
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
    except OSError:  # the disk is full, or another process was faster
        shutil.rmtree(temporary, ignore_errors=True)
        return _load(place) is not None
    return True


def _forget_old(folder: Path) -> None:
    for place in folder.iterdir():
        with suppress(OSError):
            if time.time() - place.stat().st_mtime > KEPT_S:
                shutil.rmtree(place, ignore_errors=True)
