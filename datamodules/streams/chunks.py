"""Lightning's LitData format: files of many samples each, and an index of them.

A chunk starts with the number of its samples and their offsets (little-endian uint32, like all numbers
below); a sample starts with the sizes of its leaves, followed by the leaves. ``index.json`` lists the chunks
and the types of the leaves. LitData itself is not used: of its thirty types of leaves only a few matter for
images, and it unpickles some of the others, which can run any code.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from datamodules.problems import DataError, Defect, LitData
from problems import Problem

INDEX = "index.json"
# Larger samples are not photographs, but a mistake or an attack on the memory.
MAX_SAMPLE_BYTES = 256 * 2**20
# Far more than any data set has; the order of all samples has to fit into memory.
MAX_SAMPLES = 2**28
# Types that can be decoded: files, and the raw pixels to which LitData converts Pillow's images.
ENCODED, RAW = ("jpeg", "image", "file", "bytes"), "pil"
PICKLED = ("pickle", "graph")
# LitData's description of a dictionary with three leaves.
LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
KEYS = ("image", "label", "name")
FORMATS = ("jpeg", "int", "str")


class DamagedChunk(Problem):
    """A sample is not where the chunk lists it."""

    def __init__(self, defect: Defect, **values: Any) -> None:
        super().__init__(defect, **values)
        self.defect = defect


@dataclass(frozen=True)
class Leaves:
    """The positions of the leaves of a sample.

    Attributes:
        count: Number of leaves.
        image: Index of the image.
        label: Index of the class.
        name: Index of the name; None if samples have no names.
        is_raw: Whether the image consists of raw pixels instead of a file.
    """

    count: int
    image: int
    label: int
    name: int | None
    is_raw: bool


@dataclass(frozen=True, eq=False)
class Chunks:
    """The chunks of a split.

    Attributes:
        names: Names of the files.
        sizes_bytes: Sizes of the files.
        ends: Number of samples up to the end of each chunk.
        leaves: Positions of the leaves of a sample.
    """

    names: tuple[str, ...]
    sizes_bytes: tuple[int, ...]
    ends: NDArray[np.int64]
    leaves: Leaves

    def __len__(self) -> int:
        """Return the number of samples in all chunks."""
        return int(self.ends[-1])

    def locate(self, index: int) -> tuple[int, int]:
        """Return the chunk of a sample, and its index in the chunk."""
        chunk = int(np.searchsorted(self.ends, index, side="right"))
        return chunk, index - (int(self.ends[chunk - 1]) if chunk else 0)


def parse_index(content: bytes, where: str) -> Chunks:
    """Parse an ``index.json``, which is not trusted.

    Args:
        content: Content of the file.
        where: Name of the file for messages.

    Raises:
        DataError: It is not an index, or the samples cannot be read safely.
    """
    try:
        listing = json.loads(content)
        config, rows = listing["config"], listing["chunks"]
        names = tuple(str(row["filename"]) for row in rows)
        sizes = tuple(int(row["chunk_bytes"]) for row in rows)
        counts = np.array([int(row["chunk_size"]) for row in rows], dtype=np.int64)
        formats = [str(kind) for kind in config["data_format"]]
        keys = _keys(config["data_spec"], len(formats))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(LitData.NO_INDEX, where=where) from error
    _refuse(config, formats, where)
    # A name with a folder in it could be any file of this machine.
    odd = next((name for name in names if not re.fullmatch(r"[\w-][\w.-]*", name)), None)
    if odd is not None:
        raise DataError(LitData.BAD_CHUNK_NAME, where=where, name=odd)
    if not names or (counts < 1).any():
        raise DataError(LitData.NO_CHUNKS, where=where)
    # A sample takes an offset at the start of the chunk, and a size for every leaf.
    if (counts > np.array(sizes) // (4 + 4 * len(formats))).any() or counts.sum() > MAX_SAMPLES:
        raise DataError(LitData.TOO_MANY_SAMPLES, where=where)
    return Chunks(names, sizes, np.cumsum(counts), _find_leaves(config, formats, keys, where))


def write_index(chunks: Sequence[tuple[str, int, int]]) -> bytes:
    """Return an ``index.json`` for chunks of `write_chunk`, given the name, bytes and samples of each."""
    spec = {"type": "builtins.dict", "context": json.dumps(KEYS), "children_spec": [LEAF] * len(KEYS)}
    config = {
        "chunk_bytes": None,
        "chunk_size": max(count for _, _, count in chunks),
        "compression": None,
        "data_format": FORMATS,
        "data_spec": json.dumps([1, spec]),
        "encryption": None,
        "item_loader": "PyTreeLoader",
    }
    rows = [
        {"chunk_bytes": size, "chunk_size": count, "dim": None, "filename": name}
        for name, size, count in chunks
    ]
    return json.dumps({"chunks": rows, "config": config}).encode()


def write_chunk(stream: BinaryIO, samples: Iterable[tuple[bytes, int, str]], count: int) -> int:
    """Write images, their labels and names, one at a time; return the number of bytes."""
    offsets = [4 * (count + 2)]
    stream.seek(offsets[0])
    for image, label, name in samples:
        leaves = (image, np.int64(label).tobytes(), name.encode())
        sample = np.array([len(leaf) for leaf in leaves], np.uint32).tobytes() + b"".join(leaves)
        stream.write(sample)
        offsets.append(offsets[-1] + len(sample))
    stream.seek(0)
    stream.write(np.array([count, *offsets], np.uint32).tobytes())
    return offsets[-1]


def read_leaves(handle: int, place: int, leaves: Leaves) -> list[bytes]:
    """Read a sample of an open chunk.

    Raises:
        DamagedChunk: The chunk is truncated or otherwise damaged.
    """
    begin, end = _bounds(handle, place)
    sample = _read(handle, begin, end - begin)
    sizes = np.frombuffer(sample, np.uint32, count=min(leaves.count, len(sample) // 4)).tolist()
    if 4 * leaves.count + sum(sizes) != len(sample):
        raise DamagedChunk(Defect.WRONG_PARTS)
    ends = np.cumsum([4 * leaves.count, *sizes]).tolist()
    return [sample[start:stop] for start, stop in pairwise(ends)]


def read_label(handle: int, place: int, leaves: Leaves) -> int:
    """Read the class of a sample of an open chunk, without its image.

    Raises:
        DamagedChunk: The chunk is truncated or otherwise damaged.
    """
    begin, _ = _bounds(handle, place)
    sizes = np.frombuffer(_read(handle, begin, 4 * leaves.count), np.uint32).tolist()
    return to_label(_read(handle, begin + 4 * leaves.count + sum(sizes[: leaves.label]), 8))


def to_label(leaf: bytes) -> int:
    """Convert the leaf of the class to an integer."""
    if len(leaf) != 8:
        raise DamagedChunk(Defect.WRONG_LABEL)
    return int.from_bytes(leaf, "little", signed=True)


def to_file(leaf: bytes, leaves: Leaves) -> bytes:
    """Return an image as the content of a file; raw pixels become a bitmap."""
    if not leaves.is_raw:
        return leaf
    width, height, size = np.frombuffer(leaf, np.uint32, count=min(3, len(leaf) // 4)).tolist() or (0, 0, 0)
    mode, pixels = leaf[12 : 12 + size], leaf[12 + size :]
    kinds = {b"RGB": (b"P6", 3), b"L": (b"P5", 1)}
    if mode not in kinds or len(pixels) != width * height * kinds[mode][1]:
        raise DamagedChunk(Defect.WRONG_PIXELS)
    return b"%s %d %d 255\n" % (kinds[mode][0], width, height) + pixels


def _bounds(handle: int, place: int) -> tuple[int, int]:
    begin, end = np.frombuffer(_read(handle, 4 * (place + 1), 8), np.uint32).tolist()
    if not 0 < end - begin <= MAX_SAMPLE_BYTES:
        raise DamagedChunk(Defect.WRONG_SIZE, size=end - begin)
    return begin, end


def _read(handle: int, offset: int, size: int) -> bytes:
    content = os.pread(handle, size, offset)
    if len(content) != size:
        raise DamagedChunk(Defect.CHUNK_CUT_OFF)
    return content


def _keys(spec: Any, count: int) -> Sequence[str]:
    """Return the names of the leaves if a sample is a plain dictionary, otherwise empty names."""
    tree = json.loads(spec)[1]
    if tree["type"] != "builtins.dict":
        return [""] * count
    keys = [str(key) for key in json.loads(tree["context"])]
    return keys if len(keys) == count else [""] * count


def _refuse(config: dict[str, Any], formats: Sequence[str], where: str) -> None:
    if any(part in PICKLED for kind in formats for part in kind.split(":")):
        raise DataError(LitData.PICKLED, where=where)
    for name in ("encryption", "compression"):
        if config.get(name):
            raise DataError(LitData.ENCODED, where=where, feature=name)
    if config.get("item_loader", "PyTreeLoader") != "PyTreeLoader":
        raise DataError(LitData.OTHER_LOADER, where=where, loader=config["item_loader"])


def _find_leaves(config: dict[str, Any], formats: Sequence[str], keys: Sequence[str], where: str) -> Leaves:
    kinds = [kind.split(":")[0] for kind in formats]
    images = [place for place, kind in enumerate(kinds) if kind in ENCODED or kind == RAW]
    labels = [place for place, kind in enumerate(kinds) if kind == "int"]
    if len(labels) > 1:
        labels = [place for place in labels if keys[place] in ("label", "class", "target")]
    if len(images) != 1 or len(labels) != 1:
        raise DataError(LitData.OTHER_SAMPLES, where=where, kinds=", ".join(kinds))
    if keys[images[0]] and kinds[images[0]] == "bytes" and "ipc_compression" in config:
        raise DataError(LitData.ARROW, where=where)
    name = next((place for place, key in enumerate(keys) if key == "name" and kinds[place] == "str"), None)
    return Leaves(len(kinds), images[0], labels[0], name, is_raw=kinds[images[0]] == RAW)
