"""Converting any source to LitData's format: chunks of images in a shuffled order, written in parallel.

A plan decides which image goes into which chunk, and how it is encoded, before the first chunk is written. An
existing chunk is therefore correct, no matter which process wrote it and what was interrupted since. Missing
chunks are written, and ``info.json`` last: until then, the result cannot be opened.
"""

import io
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.images import Images, NamedBytes, Split
from datamodules.manifest import compute_manifest
from datamodules.pixels.decoding import read_image
from datamodules.pixels.jpeg import read_size
from datamodules.problems import Argument, DataError, LitData, Place, UnreadableImage
from datamodules.progress import Progress
from datamodules.streams.chunks import INDEX, MAX_SAMPLE_BYTES, write_chunk, write_index
from datamodules.streams.streaming import INFO, LABELS, SPLITS
from datamodules.streams.targets import Target
from problems import InvalidValue

PLAN = "convert.json"
# Large enough for fast object stores, small enough to be downloaded in a second.
CHUNK_BYTES = 64_000_000
MAX_CHUNK_IMAGES = 65_536
NUM_TRIED = 32
POLL_S = 0.2
MAX_NAMED = 5


@dataclass(frozen=True)
class Settings:
    """How images are encoded.

    Attributes:
        max_side: Images whose short side is longer are resized to this many pixels and re-encoded; all images
            are left unchanged if None.
        quality: Quality of re-encoded JPEGs, 1 to 100.
    """

    max_side: int | None = None
    quality: int = 90

    def __post_init__(self) -> None:
        if self.max_side is not None and self.max_side < 1:
            raise InvalidValue(Argument.TOO_SMALL, name="max_side", value=self.max_side, smallest=1)
        if not 1 <= self.quality <= 100:
            raise InvalidValue(
                Argument.OUT_OF_RANGE, name="quality", value=self.quality, smallest=1, largest=100
            )


@dataclass(frozen=True)
class Plan:
    """A plan of all chunks; the same plan gives the same chunks.

    Attributes:
        manifest: Manifest of the source's images.
        settings: How images are encoded.
        chunk_images: Number of images in a chunk.
    """

    manifest: str
    settings: Settings
    chunk_images: int


@dataclass
class Tally:
    """The progress of all threads, and a request to stop them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    unreadable: list[str] = field(default_factory=list)

    def count(self, problem: str | None) -> None:
        """Count an image; raise InterruptedError if a stop is requested."""
        with self.lock:
            self.done += 1
            if problem is not None:
                self.unreadable.append(problem)
        if self.stop.is_set():
            raise InterruptedError


def convert(images: Images, target: Target, settings: Settings, threads: int, progress: Progress) -> None:
    """Convert a source to LitData's format, except for chunks that exist already.

    Args:
        images: Images of the opened source.
        target: An empty target, or that of an interrupted conversion of the same images.
        settings: How images are encoded.
        threads: Number of threads that read, re-encode and write.
        progress: Shows the progress.

    Raises:
        DataError: The target has other content or is in use, there is not enough space, or images cannot be
            read.
    """
    with target.locked():
        _convert(images, target, settings, threads, progress)


def make_plan(images: Images, order: NDArray[np.int64], target: Target, settings: Settings) -> Plan:
    """Return the plan from the target, or make a new one and write it to the target.

    Raises:
        DataError: The target has other images, settings or files.
    """
    manifest = compute_manifest(images)
    kept = target.read(PLAN)
    if kept is not None:
        try:
            found = json.loads(kept)
            plan = Plan(found["manifest"], Settings(**found["settings"]), int(found["chunk_images"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(Place.PLAN_DAMAGED, file=f"{target.title}/{PLAN}") from error
        if (plan.manifest, plan.settings) != (manifest, settings) or plan.chunk_images < 1:
            raise DataError(Place.OTHER_CONTENT, place=target.title)
        return plan
    if not target.is_empty():
        raise DataError(Place.NOT_EMPTY, place=target.title)
    tally = Tally()
    tried = [encode(images.train, int(index), settings, tally) for index in order[:NUM_TRIED]]
    mean_bytes = max(1, sum(len(content) for content, _, _ in tried) // len(tried))
    plan = Plan(manifest, settings, max(1, min(MAX_CHUNK_IMAGES, CHUNK_BYTES // mean_bytes)))
    _put(target, PLAN, json.dumps(asdict(plan)).encode())
    return plan


def check_room(num_images: int, target: Target, plan: Plan) -> None:
    """Check that there is enough space for a number of images, given the plan's estimate of their size.

    Raises:
        DataError: There is not enough space.
    """
    free, needed = target.free_bytes(), num_images * CHUNK_BYTES / plan.chunk_images
    if free is not None and needed > free:
        raise DataError(Place.NO_SPACE, place=target.title, needed_gb=needed / 1e9, free_gb=free / 1e9)


def encode(split: Split, index: int, settings: Settings, tally: Tally) -> tuple[bytes, int, str]:
    """Return the file, label and name of an image, and count it.

    Files that cannot be decoded are copied unchanged, so that the reader can decide to leave them out.
    """
    problem = None
    file = None
    try:
        file = split.encoded(index)
        content = _shrink(split, index, file, settings)
    except UnreadableImage as error:
        content, problem = (file.content if file else b""), str(error)
    if len(content) > MAX_SAMPLE_BYTES:
        raise DataError(LitData.SAMPLE_TOO_LARGE, index=index, size=len(content), limit=MAX_SAMPLE_BYTES)
    tally.count(problem)
    return content, split.label(index), file.name if file else str(index)


def shuffled(count: int) -> NDArray[np.int64]:
    """Return a pseudo-random order, which is always the same.

    It uses Stafford's mix 13, as in SplitMix64, since the shuffles of libraries change over the years.
    """
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.argsort(mixed ^ (mixed >> np.uint64(31)))


def split_order(order: NDArray[np.int64], chunk_images: int) -> list[NDArray[np.int64]]:
    """Return the images of each chunk."""
    return [order[start : start + chunk_images] for start in range(0, len(order), chunk_images)]


def chunk_name(number: int) -> str:
    """Return the name of a chunk, as LitData's first worker would name it."""
    return f"chunk-0-{number}.bin"


def _convert(images: Images, target: Target, settings: Settings, threads: int, progress: Progress) -> None:
    splits = dict(zip(SPLITS, (images.train, images.val), strict=True))
    orders = {"train": shuffled(len(images.train)), "val": np.arange(len(images.val))}
    progress.begin("Estimating sizes", None, "images")
    plan = make_plan(images, orders["train"], target, settings)
    chunks = {name: split_order(order, plan.chunk_images) for name, order in orders.items()}
    there = {name: target.sizes_bytes(name) for name in SPLITS}
    total = sum(map(len, splits.values()))
    missing = [
        (name, number, part)
        for name in SPLITS
        for number, part in enumerate(chunks[name])
        if chunk_name(number) not in there[name]
    ]
    num_missing = sum(len(part) for _, _, part in missing)
    check_room(num_missing, target, plan)
    progress.begin("Converting", total, "images", done=total - num_missing)
    tally = Tally()

    def write(name: str, number: int, part: NDArray[np.int64]) -> None:
        samples = (encode(splits[name], int(index), settings, tally) for index in part)
        with target.write(f"{name}/{chunk_name(number)}") as stream:
            size = write_chunk(stream, samples, len(part))
        there[name][chunk_name(number)] = size

    _run(write, missing, threads, tally, progress)
    for name in SPLITS:
        _finish(target, name, splits[name], chunks[name], there[name])
    _put(target, INFO, json.dumps(_describe(images, settings), indent=1).encode())
    progress.say(
        f"{target.title} is ready: {len(images.train):,} training and {len(images.val):,} validation images."
    )
    if tally.unreadable:
        names = "; ".join(tally.unreadable[:MAX_NAMED])
        more = " ..." if len(tally.unreadable) > MAX_NAMED else ""
        number = f"{len(tally.unreadable):,}"
        progress.say(f"{number} images cannot be read and were copied unchanged: {names}{more}")


def _shrink(split: Split, index: int, file: NamedBytes | None, settings: Settings) -> bytes:
    """Return the file unchanged if it is small enough, otherwise a resized one."""
    side = settings.max_side
    if file is not None:
        size = read_size(file.content)
        if side is None or (size is not None and min(size) <= side):
            return file.content
    pixels = split.read(index) if file is None else read_image(file)
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    stream = io.BytesIO()
    if side is not None and min(image.size) > side:
        width, height = (round(length * side / min(image.size)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
        image.save(stream, "JPEG", quality=settings.quality)
    elif file is not None:
        return file.content
    else:
        image.save(stream, "PNG")  # lossless, since there is no original file
    return stream.getvalue()


def _run(
    write: Callable[[str, int, NDArray[np.int64]], None],
    missing: Sequence[tuple[str, int, NDArray[np.int64]]],
    threads: int,
    tally: Tally,
    progress: Progress,
) -> None:
    """Write chunks with several threads; the first error, or Ctrl-C, stops all threads at the next image."""
    with ThreadPoolExecutor(threads) as pool:
        pending = {pool.submit(write, *chunk) for chunk in missing}
        told = 0
        try:
            while pending:
                ended, pending = wait(pending, POLL_S, FIRST_COMPLETED)
                progress.advance(tally.done - told)
                told = tally.done
                for future in ended:
                    future.result()
        except BaseException:
            tally.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _finish(
    target: Target,
    folder: str,
    split: Split,
    chunks: Sequence[NDArray[np.int64]],
    sizes: dict[str, int],
) -> None:
    names = [chunk_name(number) for number in range(len(chunks))]
    rows = [(name, sizes[name], len(part)) for name, part in zip(names, chunks, strict=True)]
    labels = np.array([split.label(int(index)) for part in chunks for index in part], np.int32)
    stream = io.BytesIO()
    np.save(stream, labels, allow_pickle=False)
    _put(target, f"{folder}/{LABELS}", stream.getvalue())
    _put(target, f"{folder}/{INDEX}", write_index(rows))


def _describe(images: Images, settings: Settings) -> dict[str, object]:
    return {
        "classes": images.class_names,
        "mean": images.mean,
        "std": images.std,
        "can_mirror": images.can_mirror,
        "images": {"train": len(images.train), "val": len(images.val)},
        **asdict(settings),
    }


def _put(target: Target, name: str, content: bytes) -> None:
    with target.write(name) as stream:
        stream.write(content)
