"""Reading all images of a split in parallel, and the results in arrays."""

import hashlib
import json
import os
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from datamodules.checks.inspection import MAX_SECONDS, NOTHING, Facts, Histogram, inspect_file, inspect_pixels
from datamodules.checks.kinds import KINDS
from datamodules.images import Split
from datamodules.problems import Defect, UnreadableImage, describe
from datamodules.sources.folder import FolderSplit

# Images that a process reads before it returns the results.
CHUNK = 32
# Memory that a worker may allocate; a single large picture needs almost as much.
WORKER_BYTES = 600 * 2**20
Chunk = tuple[list[Facts], Histogram]

ROW = np.dtype(
    [
        *(("size", "<i8"), ("changed_ns", "<i8"), ("digest", "V32"), ("fingerprint", "V16")),
        *(("width", "<i4"), ("height", "<i4"), ("format", "<i2"), ("mode", "<i2"), ("kinds", "<i8")),
    ]
)


class Readings:
    """The results for the images of a split, of which the first `done` have been read.

    Attributes:
        rows: A record of each image; formats and modes are indices in `words`, kinds are bits.
        words: Names of formats and modes.
        errors: Why images cannot be read, by index of the image.
        histogram: Counts of each value of each channel, 3 x 256.
        done: Number of images that have been read.
        earlier_s: Time it took to read them, in seconds.
    """

    def __init__(self, count: int) -> None:
        self.rows = np.zeros(count, ROW)
        self.words: list[str] = [""]
        self.errors: dict[int, str] = {}
        self.histogram: Histogram = np.zeros((3, 256), np.int64)
        self.done = 0
        self.earlier_s = 0.0

    def add(self, chunk: Chunk) -> None:
        """Add the results for the next images."""
        facts, histogram = chunk
        for number, fact in enumerate(facts, self.done):
            self.rows[number] = (
                *(fact.size, fact.changed_ns, np.void(fact.digest.ljust(32, b"\0"))),
                *(np.void(fact.fingerprint.ljust(16, b"\0")), fact.width, fact.height),
                *(self._number(fact.format), self._number(fact.mode)),
                sum(1 << list(KINDS).index(kind) for kind in fact.kinds),
            )
            if fact.error:
                self.errors[number] = fact.error
        self.histogram += histogram
        self.done += len(facts)

    def having(self, kind: str) -> NDArray[np.int64]:
        """Return the indices of the images of a kind."""
        return np.flatnonzero(self.rows["kinds"] >> list(KINDS).index(kind) & 1)

    def is_readable(self) -> NDArray[np.bool_]:
        """Return for each image whether it can be decoded."""
        readable = np.ones(len(self.rows), bool)
        readable[list(self.errors)] = False
        return readable

    def save(self, file: Path) -> None:
        """Write the results so far. Raises OSError."""
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez(
                    stream,
                    rows=self.rows[: self.done],
                    words=np.array(self.words),
                    errors=np.frombuffer(json.dumps(self.errors).encode(), np.uint8),
                    histogram=self.histogram,
                    earlier_s=self.earlier_s,
                )
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def load(self, file: Path, is_current: Callable[[NDArray[Any]], bool]) -> None:
        """Load the results of an interrupted check, unless the files have changed since."""
        try:
            with np.load(file, allow_pickle=False) as kept:
                rows = kept["rows"]
                if rows.dtype != ROW or len(rows) > len(self.rows) or not is_current(rows):
                    return
                self.words = kept["words"].tolist()
                errors = json.loads(kept["errors"].tobytes())
                self.errors = {int(number): error for number, error in errors.items()}
                self.histogram = kept["histogram"]
                self.earlier_s = float(kept["earlier_s"])
                self.rows[: len(rows)] = rows
                self.done = len(rows)
        except (OSError, ValueError, KeyError, EOFError):
            return  # missing or damaged: start from scratch

    def _number(self, word: str) -> int:
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word)


class Chunks(Dataset[Chunk]):
    """The images of a split, in chunks."""

    def __init__(self, split: Split, starts: Sequence[int], size: int) -> None:
        self.split, self.starts, self.size = split, starts, size

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, place: int) -> Chunk:
        facts = []
        total: Histogram = np.zeros((3, 256), np.int64)
        start = self.starts[place]
        for number in range(start, min(start + self.size, len(self.split))):
            fact, histogram = self._inspect(number)
            facts.append(fact)
            if histogram is not None:
                total += histogram
        return facts, total

    def _inspect(self, number: int) -> tuple[Facts, Histogram | None]:
        if isinstance(self.split, FolderSplit):
            return inspect_file(f"{self.split.folder}/{self.split.index.file(number)}")
        try:
            pixels = self.split.read(number)
        except UnreadableImage as error:
            return NOTHING._replace(kinds=("damaged",), error=str(error)), None
        return inspect_pixels(pixels.permute(1, 2, 0).contiguous().numpy())


def read_chunks(split: Split, start: int, num_workers: int) -> Iterator[Chunk]:
    """Read a split from an image on, in order, with several processes.

    An image at which a process dies, for any reason, is reported like any other unreadable image.
    """
    position = start
    while position < len(split):
        try:
            for chunk in _load(split, range(position, len(split), CHUNK), CHUNK, num_workers):
                position += len(chunk[0])
                yield chunk
        except RuntimeError as error:
            if not _is_death(error):
                raise
            # Read the next images one by one, each in a separate process, to find the one that is
            # responsible.
            for number in range(position, min(position + CHUNK, len(split))):
                position = number + 1
                yield _read_alone(split, number)


def _read_alone(split: Split, number: int) -> Chunk:
    try:
        chunk: Chunk = next(_load(split, [number], 1, 1))
        return chunk
    except RuntimeError as error:
        if not _is_death(error):
            raise
        fact = NOTHING._replace(kinds=("crash",), error=describe(Defect.CRASHED))
        return [fact], np.zeros((3, 256), np.int64)


def _is_death(error: RuntimeError) -> bool:
    # PyTorch raises a plain RuntimeError; nothing but its text tells a dead worker from other errors.
    return "DataLoader worker" in str(error) or "DataLoader timed out" in str(error)


def _load(split: Split, starts: Sequence[int], size: int, num_workers: int) -> Iterator[Any]:
    with warnings.catch_warnings():
        # PyTorch warns about more workers than cores, but the user asked for them, perhaps for a slow disk.
        warnings.simplefilter("ignore", UserWarning)
        loader: DataLoader[Any] = DataLoader(
            Chunks(split, starts, size),
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=min(num_workers, len(starts)),
            timeout=(5 if size > 1 else 2) * MAX_SECONDS,
            worker_init_fn=_start_worker,
            generator=torch.Generator(),
        )
        return iter(loader)


def _as_it_is(chunk: Any) -> Any:
    return chunk


def _start_worker(number: int) -> None:
    information: Any = torch.utils.data.get_worker_info()
    chunks: Chunks = information.dataset
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends it
    if not isinstance(chunks.split, FolderSplit):
        return
    with suppress(ImportError, OSError, ValueError):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (taken + WORKER_BYTES, most))


def digest_content(split: Split, readings: Readings) -> str:
    r"""Return the SHA-256 of the lines ``name \0 label \0 SHA-256 \n`` of all images of a split.

    Images without files have their index in place of the name.
    """
    digest = hashlib.sha256()
    for number, content in enumerate(readings.rows["digest"]):
        name = os.fsencode(split.index.file(number)) if isinstance(split, FolderSplit) else b"%d" % number
        digest.update(b"%s\0%d\0%s\n" % (name, split.label(number), content.tobytes().hex().encode()))
    return digest.hexdigest()
