"""Opening data in LitData's format, in a folder or at an address, without reading any chunk."""

import hashlib
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.cache import cache_folder
from datamodules.images import IMAGENET_MEAN, IMAGENET_STD, Channels, Images
from datamodules.problems import Cache, DataError, LitData, Reading, explain, printable
from datamodules.streams.chunk_cache import ChunkCache, kept_chunks
from datamodules.streams.chunk_split import WINDOW, ChunkFiles, ChunkFolder, ChunkSplit
from datamodules.streams.chunks import INDEX, Chunks, parse_index
from datamodules.streams.storage import NotThere, Store, open_store, read_file

INFO, LABELS = "info.json", "labels.npy"
SPLITS = ("train", "val")
MAX_INDEX_BYTES, MAX_LABELS_BYTES, MAX_INFO_BYTES = 2**25, 2**28, 2**24


@dataclass(frozen=True)
class Info:
    """The content of ``info.json``.

    Attributes:
        classes: Class names in the order of the labels.
        mean: Mean of each channel, where white is 1.
        std: Standard deviation of each channel.
        can_mirror: Whether a mirrored image still shows the same class.
    """

    classes: tuple[str, ...]
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    can_mirror: bool = True


def open_folder(root: Path) -> Images:
    """Open a folder, reading only the files beside the chunks.

    Raises:
        DataError: A file is missing or invalid.
    """
    info = parse_info(_read(root / INFO, MAX_INFO_BYTES), str(root))
    splits = [
        _open_split(
            printable(root / name),
            _read(root / name / INDEX, MAX_INDEX_BYTES),
            _read(root / name / LABELS, MAX_LABELS_BYTES) if (root / name / LABELS).exists() else None,
            ChunkFolder(root / name),
            len(info.classes),
        )
        for name in SPLITS
    ]
    return _images(info, *splits)


def open_address(address: str) -> Images:
    """Open an address, downloading only the files beside the chunks.

    Raises:
        DataError: A file cannot be downloaded or is invalid, or chunks cannot be stored on this machine.
    """
    cache = cache_folder()
    if cache is None:
        raise DataError(Cache.NO_FOLDER)
    address = address.rstrip("/")
    root, limit_bytes = cache / "chunks", cache_limit(cache / "chunks")
    top = open_store(address)
    info = parse_info(read_file(top, INFO, MAX_INFO_BYTES), address)
    splits = []
    for name in SPLITS:
        store = open_store(f"{address}/{name}")
        index = read_file(store, INDEX, MAX_INDEX_BYTES)
        # Other data at the same address may have chunks with the same names.
        digest = hashlib.sha256(address.encode() + b"\0" + index).hexdigest()[:16]
        chunks = ChunkCache(store, root, root / digest / name, limit_bytes)
        split = _open_split(store.address, index, _find_labels(store), chunks, len(info.classes))
        check_cache_limit(split.chunks, limit_bytes, address)
        splits.append(split)
    return _images(info, *splits)


def parse_info(content: bytes, where: str) -> Info:
    """Parse an ``info.json``, which is not trusted.

    Raises:
        DataError: It is invalid.
    """
    try:
        found = json.loads(content)
        info = Info(
            tuple(str(name) for name in found["classes"]),
            _channels(found.get("mean", IMAGENET_MEAN)),
            _channels(found.get("std", IMAGENET_STD)),
            bool(found.get("can_mirror", True)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            LitData.NO_CLASS_NAMES, where=f"{where}/{INFO}", example='{"classes": ["cat", "dog"]}'
        ) from error
    if len(info.classes) < 2 or min(info.std) <= 0:
        raise DataError(LitData.BAD_INFO, where=f"{where}/{INFO}")
    return info


def cache_limit(root: Path) -> int:
    """Return the size limit of the cache: ``ARENA_CACHE_GB``, else half of the free space and the cache.

    Raises:
        DataError: The setting is not a number.
    """
    setting = os.environ.get("ARENA_CACHE_GB")
    if setting:
        try:
            return round(float(setting) * 1e9)
        except (ValueError, OverflowError) as error:
            raise DataError(Cache.BAD_LIMIT, value=setting) from error
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    kept = sum(status.st_size for status in kept_chunks(root).values())
    return (shutil.disk_usage(existing).free + kept) // 2


def check_cache_limit(chunks: Chunks, limit_bytes: int, address: str) -> None:
    """Check that the chunks that are shuffled at a time fit; otherwise they would be downloaded repeatedly.

    Raises:
        DataError: They do not fit.
    """
    share = min(1.0, 1.5 * WINDOW / len(chunks))
    needed = round(share * sum(chunks.sizes_bytes)) + 4 * max(chunks.sizes_bytes)
    if needed > limit_bytes:
        raise DataError(
            Cache.LIMIT_TOO_SMALL, address=address, needed_gb=needed / 1e9, limit_gb=limit_bytes / 1e9
        )


def _open_split(
    where: str, index: bytes, labels: bytes | None, files: ChunkFiles, num_classes: int
) -> ChunkSplit:
    chunks = parse_index(index, f"{where}/{INDEX}")
    known = None if labels is None else _parse_labels(labels, len(chunks), num_classes, where)
    return ChunkSplit(where, chunks, files, known, num_classes)


def _parse_labels(content: bytes, count: int, num_classes: int, where: str) -> NDArray[np.integer[Any]]:
    file = f"{where}/{LABELS}"
    try:
        labels: NDArray[np.integer[Any]] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise DataError(LitData.NO_LABELS, where=file) from error
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise DataError(LitData.WRONG_LABELS, where=file, number=count)
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            LitData.LABELS_OUT_OF_RANGE,
            where=file,
            smallest=labels.min(),
            largest=labels.max(),
            number=num_classes,
        )
    return labels


def _find_labels(store: Store) -> bytes | None:
    try:
        return read_file(store, LABELS, MAX_LABELS_BYTES)
    except NotThere:
        return None


def _images(info: Info, train: ChunkSplit, val: ChunkSplit) -> Images:
    return Images(info.classes, train, val, info.mean, info.std, info.can_mirror)


def _channels(values: Any) -> Channels:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _read(file: Path, limit_bytes: int) -> bytes:
    try:
        if file.stat().st_size > limit_bytes:
            raise DataError(Reading.TOO_LARGE, file=file, limit=limit_bytes)
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(LitData.NOT_CONVERTED, name=file.name, folder=file.parent) from error
    except OSError as error:
        raise explain(error) from error
