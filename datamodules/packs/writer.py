"""Writing a pack of any source: each image is decoded and resized only once.

``raw`` keeps what AlexNet was trained on: the center square of pictures with a short side of 256 pixels. All
images have the same size, nothing has to be decoded, and validation sees exactly the pixels of the originals;
what is outside of the center square is lost. ``jpeg`` keeps the whole picture with a short side of 256
pixels, encoded again.

An interrupted pack can be continued: records are written after their images, and anything after the last
record is written again.
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
from datamodules.images import Images, Split
from datamodules.manifest import compute_manifest
from datamodules.packs.format import IMAGES, MANIFEST, RECORD, RECORDS, SPLITS, Form, Manifest, read_manifest
from datamodules.pixels.views import center, resized
from datamodules.problems import Argument, DataError, Pack, Place, UnreadableImage
from datamodules.progress import Progress
from datamodules.streams.targets import FolderTarget
from problems import InvalidValue

STATE = "packing.json"
SUBSAMPLING = "420"  # as in nearly all JPEGs of ImageNet
# Up to this many images have to be packed again after an interruption.
CHECKPOINT = 512
SAMPLED = 24
SPARE_BYTES = 100_000_000


@dataclass(frozen=True)
class Plan:
    """How to pack.

    Attributes:
        form: ``jpeg`` or ``raw``.
        side: Short side in pixels.
        quality: Quality of JPEGs, 1 to 100.
        threads: Number of images to process at a time.

    Raises:
        InvalidValue: A number is out of its range.
    """

    form: Form
    side: int = 256
    quality: int = 90
    threads: int = 1

    def __post_init__(self) -> None:
        for name, value, largest in (("side", self.side, 4096), ("quality", self.quality, 100)):
            if not 1 <= value <= largest:
                raise InvalidValue(Argument.OUT_OF_RANGE, name=name, value=value, smallest=1, largest=largest)
        if self.threads < 1:
            raise InvalidValue(Argument.TOO_SMALL, name="threads", value=self.threads, smallest=1)


def write_pack(images: Images, source: str, target: Path, plan: Plan, progress: Progress) -> Manifest:
    """Pack both splits.

    Args:
        images: Images of the opened source.
        source: Key of the source.
        target: Folder of the pack: new, empty, or with the files of an interrupted call.
        plan: How to pack.
        progress: Shows the progress.

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
        raise DataError(Place.OTHER_CONTENT, place=target)
    return True


def _identity(manifest: Manifest) -> dict[str, object]:
    return asdict(manifest) | {"images": None, "left_out": None}


def _begin(target: Path, manifest: Manifest, splits: dict[str, Split], plan: Plan) -> None:
    """Claim the folder, and check that it has enough space."""
    state = target / STATE
    if state.exists():
        if state.read_bytes() != manifest.write():
            raise DataError(Place.OTHER_CONTENT, place=target)
    elif any(target.iterdir()):
        raise DataError(Place.NOT_EMPTY, place=target)
    there = sum(file.stat().st_size for file in target.rglob("*.npy"))
    needed = sum(_estimate(split, plan) for split in splits.values()) - there + SPARE_BYTES
    free = shutil.disk_usage(target).free
    if needed > free:
        raise DataError(Place.NO_SPACE, place=target, needed_gb=needed / 1e9, free_gb=free / 1e9)
    write_file(state, manifest.write())


def _estimate(split: Split, plan: Plan) -> int:
    """Return the size of a packed split in bytes; for JPEGs an estimate from some of its images."""
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
    """Pack the rest of a split; return the names of images that cannot be read."""
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
    """Return the names of the images that have no record, with the reasons."""
    missing = np.setdiff1d(np.arange(len(split)), numbers).tolist()
    why = [_encode(split, plan, index) for index in missing]
    names = [str(error) for error in why if isinstance(error, UnreadableImage)]
    if names and len(names) == len(split):
        raise DataError(Pack.NOTHING_READABLE, number=len(split), first=names[0])
    return names


def _resume(images: "_Growing", records: "_Growing") -> tuple[int, int]:
    """Remove incomplete images; return the index of the next image and the offset of its bytes."""
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
    """Yield the encoded images from ``start`` on, in order; several are encoded at a time."""
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
    """Return the bytes of an image in a pack, or the error if it cannot be read."""
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
    """An array in a .npy file to which rows are appended.

    Args:
        file: File of the array; existing rows are kept.
        dtype: Type of the elements.
        shape: Shape of a row.
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
        """Remove everything after a number of bytes, and continue there."""
        self._stream.truncate(self._start + size_bytes)
        self._stream.seek(self._start + size_bytes)
        self.size_bytes = size_bytes

    def flush(self) -> None:
        """Wait until everything is on the disk."""
        self._stream.flush()
        sync(self._stream.fileno())

    def read(self) -> NDArray[np.void]:
        """Return all rows."""
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
        # NumPy reserves space for a larger first dimension, so that the header keeps its length.
        np.lib.format.write_array_header_1_0(self._stream, header)

    def __enter__(self) -> "_Growing":
        return self

    def __exit__(self, *reason: object) -> None:
        if reason[0] is None:
            self._write_header(self.size_bytes // self._row_bytes)
            self.flush()
        self._stream.close()
