"""Makes a pack of any source: each image decoded and resized once, and never again.

``raw`` keeps what AlexNet was trained on: short side 256 and the center square of it. No decoder, the same
size for all, and validation sees the very pixels it would from the originals; what lies outside of the center
is lost. ``jpeg`` keeps the whole picture at a short side of 256, encoded again.

An interrupted pack goes on where it was: records are written after the images they belong to, and what lies
beyond the last record is written anew.
"""

import shutil
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from datamodules.cache import sync, write_file
from datamodules.errors import DataError, printable
from datamodules.images import Images, Split, UnreadableImage
from datamodules.manifest import compute_manifest
from datamodules.packs.format import IMAGES, MANIFEST, RECORD, RECORDS, SPLITS, Form, Manifest, read_manifest
from datamodules.pixels.views import center, resized
from datamodules.progress import Progress
from datamodules.streams.targets import FolderTarget

STATE = "packing.json"
SUBSAMPLING = "420"  # as nearly all JPEGs of ImageNet
# So many images may have to be packed again after an interruption.
CHECKPOINT = 512
SAMPLED = 24
SPARE_BYTES = 100_000_000


@dataclass(frozen=True)
class Plan:
    """What to pack.

    Attributes:
        form: ``jpeg`` or ``raw``.
        side: Short side in pixels.
        quality: Of JPEGs, 1 to 100.
        threads: How many images to work on at once.

    Raises:
        ValueError: A number is out of its range.
    """

    form: Form
    side: int = 256
    quality: int = 90
    threads: int = 1

    def __post_init__(self) -> None:
        for name, value, largest in (("side", self.side, 4096), ("quality", self.quality, 100)):
            if not 1 <= value <= largest:
                raise ValueError(f"{name} is {value}; it must be from 1 to {largest:,}.")
        if self.threads < 1:
            raise ValueError(f"threads is {self.threads}; it must be 1 or more.")


def write_pack(images: Images, source: str, target: Path, plan: Plan, progress: Progress) -> Manifest:
    """Packs both splits.

    Args:
        images: Of the opened source.
        source: Its key.
        target: Folder of the pack, empty or with what an interrupted call has left there.
        plan: In which form.
        progress: Whom to tell.

    Raises:
        DataError: The folder holds something else or is in use, the disk is too small, or no image can be
            read.
    """
    manifest = Manifest(
        form=plan.form,
        side=plan.side,
        quality=plan.quality,
        source=source,
        source_digest=compute_manifest(images),
        class_names=images.class_names,
        mean=images.mean,
        std=images.std,
        can_mirror=images.can_mirror,
        images={},
        left_out={},
    )
    splits = dict(zip(SPLITS, (images.train, images.val), strict=True))
    with FolderTarget(target).locked():
        if _is_complete(target, manifest):
            return read_manifest(target)
        _begin(target, manifest, splits, plan)
        left_out = {}
        for name, split in splits.items():
            left_out[name] = _write_split(split, target / name, plan, progress, name)
        counts = {name: len(splits[name]) - len(left_out[name]) for name in SPLITS}
        finished = Manifest(**asdict(manifest) | {"images": counts, "left_out": left_out})
        write_file(target / MANIFEST, finished.write())
        (target / STATE).unlink(missing_ok=True)
        return finished


def _is_complete(target: Path, manifest: Manifest) -> bool:
    if not (target / MANIFEST).exists():
        return False
    found = read_manifest(target)
    if _identity(found) != _identity(manifest):
        raise DataError(f"{printable(target)} holds another pack; choose another folder or remove it.")
    return True


def _identity(manifest: Manifest) -> dict[str, object]:
    return asdict(manifest) | {"images": None, "left_out": None}


def _begin(target: Path, manifest: Manifest, splits: dict[str, Split], plan: Plan) -> None:
    """Claims the folder and looks whether all will fit into it."""
    state = target / STATE
    if state.exists():
        if state.read_bytes() != manifest.write():
            raise DataError(
                f"{printable(target)} holds a part of another pack; choose another folder or remove it."
            )
    elif any(target.iterdir()):
        raise DataError(f"{printable(target)} is not empty; choose a new folder for the pack.")
    there = sum(file.stat().st_size for file in target.rglob("*.npy"))
    needed = sum(_estimate(split, plan) for split in splits.values()) - there + SPARE_BYTES
    free = shutil.disk_usage(target).free
    if needed > free:
        raise DataError(
            f"The pack needs about {needed / 1e9:.1f} GB in {printable(target)}, "
            f"but there are {free / 1e9:.1f} GB free; make room or choose another disk."
        )
    write_file(state, manifest.write())


def _estimate(split: Split, plan: Plan) -> int:
    """Returns the bytes of a split, for JPEGs from some of its images."""
    record = RECORD.itemsize
    if plan.form == "raw":
        return len(split) * (plan.side**2 * 3 + record)
    sizes = []
    for index in np.linspace(0, len(split) - 1, SAMPLED).astype(int).tolist():
        content = _encode(split, plan, index)
        if not isinstance(content, UnreadableImage):
            sizes.append(len(content))
    return round(len(split) * (1.1 * float(np.mean(sizes or [0])) + record))


def _write_split(split: Split, folder: Path, plan: Plan, progress: Progress, name: str) -> list[str]:
    """Packs a split from where it was; returns the names of images that cannot be read."""
    folder.mkdir(exist_ok=True)
    shape = (plan.side, plan.side, 3) if plan.form == "raw" else ()
    with (
        _Growing(folder / IMAGES, np.dtype(np.uint8), shape) as images,
        _Growing(folder / RECORDS, RECORD) as records,
    ):
        start, end = _resume(images, records)
        progress.begin(f"Packing {name}", len(split), "images", done=start)
        waiting: list[bytes] = []
        for number, content in enumerate(_encode_all(split, plan, start), start):
            if not isinstance(content, UnreadableImage):
                images.append(content)
                end += len(content)
                record = (end, split.label(number), number, zlib.crc32(content))
                waiting.append(np.array(record, RECORD).tobytes())
            if len(waiting) >= CHECKPOINT:
                _commit(images, records, waiting)
            progress.advance()
        _commit(images, records, waiting)
        numbers = records.read()["number"]
    return _name_left_out(split, plan, numbers)


def _name_left_out(split: Split, plan: Plan, numbers: NDArray[np.int32]) -> list[str]:
    """Asks once more for those images that have no record, to hear why."""
    missing = np.setdiff1d(np.arange(len(split)), numbers).tolist()
    why = [_encode(split, plan, index) for index in missing]
    names = [str(error) for error in why if isinstance(error, UnreadableImage)]
    if names and len(names) == len(split):
        raise DataError(f"None of the {len(split):,} images can be read; the first is {names[0]}.")
    return names


def _resume(images: "_Growing", records: "_Growing") -> tuple[int, int]:
    """Cuts off what was not finished; returns the next image's number and where its bytes begin."""
    known = records.read()
    known = known[: int(np.searchsorted(known["end"], images.size_bytes, side="right"))]
    records.truncate(len(known) * RECORD.itemsize)
    end = int(known["end"][-1]) if len(known) else 0
    images.truncate(end)
    return (int(known["number"][-1]) + 1 if len(known) else 0), end


def _commit(images: "_Growing", records: "_Growing", waiting: list[bytes]) -> None:
    images.flush()
    records.append(b"".join(waiting))
    records.flush()
    waiting.clear()


def _encode_all(split: Split, plan: Plan, start: int) -> Iterator[bytes | UnreadableImage]:
    """Yields the images from ``start`` on in their order, a few of them worked on at once."""
    with ThreadPoolExecutor(plan.threads) as pool:
        indices = iter(range(start, len(split)))
        encode = partial(_encode, split, plan)
        ahead: deque[Future[bytes | UnreadableImage]] = deque(
            pool.submit(encode, index) for index in islice(indices, 4 * plan.threads)
        )
        while ahead:
            content = ahead.popleft().result()
            ahead.extend(pool.submit(encode, index) for index in islice(indices, 1))
            yield content


def _encode(split: Split, plan: Plan, index: int) -> bytes | UnreadableImage:
    """Returns what a pack holds of an image, or why it cannot."""
    try:
        if plan.form == "raw":
            square = np.empty((plan.side, plan.side, 3), np.uint8)
            split.view(index, partial(center, plan.side, plan.side), square)
            return square.tobytes()
        pixels = split.read(index).permute(1, 2, 0).contiguous().numpy()
    except UnreadableImage as error:
        return error
    height, width = pixels.shape[:2]
    if min(height, width) > plan.side:
        rows, columns = resized(height, width, plan.side)
        small = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR)
        pixels = np.array(small)
    content: bytes = simplejpeg.encode_jpeg(pixels, quality=plan.quality, colorsubsampling=SUBSAMPLING)
    return content


class _Growing:
    """An array in NumPy's own format that grows at its end.

    Args:
        file: Where it is kept; what is there already stays.
        dtype: Of its elements.
        shape: Of a row.
    """

    def __init__(self, file: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...] = ()) -> None:
        self.dtype, self.shape = dtype, shape
        self._row_bytes = dtype.itemsize * int(np.prod(shape))
        file.touch()
        self._stream: BinaryIO = file.open("r+b")
        self._write_header(0)
        self._start = self._stream.tell()
        self.size_bytes = max(0, self._stream.seek(0, 2) - self._start)
        self.truncate(self.size_bytes - self.size_bytes % self._row_bytes)

    def append(self, content: bytes) -> None:
        self._stream.write(content)
        self.size_bytes += len(content)

    def truncate(self, size_bytes: int) -> None:
        """Cuts off what lies beyond, and goes on there."""
        self._stream.truncate(self._start + size_bytes)
        self._stream.seek(self._start + size_bytes)
        self.size_bytes = size_bytes

    def flush(self) -> None:
        """Waits until all is on the disk."""
        self._stream.flush()
        sync(self._stream.fileno())

    def read(self) -> NDArray[np.void]:
        """Returns all there is."""
        self._stream.seek(self._start)
        content = self._stream.read(self.size_bytes)
        return np.frombuffer(content, self.dtype)

    def _write_header(self, length: int) -> None:
        self._stream.seek(0)
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (length, *self.shape),
        }
        # NumPy leaves room for the first number to grow, so that the header keeps its length.
        np.lib.format.write_array_header_1_0(self._stream, header)

    def __enter__(self) -> "_Growing":
        return self

    def __exit__(self, *reason: object) -> None:
        if reason[0] is None:
            self._write_header(self.size_bytes // self._row_bytes)
            self.flush()
        self._stream.close()
