"""A digest that identifies the images of a run, wherever they are stored and however they are listed.

For files it covers names, labels and sizes, which are cheap to look up; only ``python -m datamodules check``
reads the content of the files. For images in memory it covers every pixel.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from datamodules.cache import write_file
from datamodules.images import Images
from datamodules.index import NUM_THREADS, FileIndex

CHUNK = 10_000
# If looking up a file takes longer, as on a network file system, threads are faster.
SLOW_S = 50e-6


def compute_manifest(images: Images) -> str:
    """Return 64 hexadecimal digits, which are equal for equal class names and equal splits."""
    parts = [list(images.class_names), images.train.digest(), images.val.digest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def digest_files(folder: Path, index: FileIndex) -> str:
    r"""Return the SHA-256 of the lines ``name \0 label \0 size \n`` of a folder's files.

    The lines are in the order of the index, which is sorted. The digest is cached beside the index until a
    file is added, removed or renamed. The size of a missing file counts as -1.
    """
    kept = index.place / "digest" if index.place else None
    if kept and kept.is_file():
        return kept.read_text(encoding="ascii")
    digest = hashlib.sha256()
    for lines in _describe(folder, index):
        digest.update(lines)
    if kept:
        with suppress(OSError):  # computed again next time
            write_file(kept, digest.hexdigest().encode())
    return digest.hexdigest()


def forget_digest(index: FileIndex) -> None:
    """Remove the cached digest, so that the sizes of the files are looked up again."""
    if index.place:
        with suppress(OSError):
            (index.place / "digest").unlink(missing_ok=True)


def digest_tensors(*tensors: Tensor) -> str:
    """Return the SHA-256 of types, shapes and values of images and labels in memory."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).data)
    return digest.hexdigest()


def _describe(folder: Path, index: FileIndex) -> Iterator[bytes]:
    look = partial(_look, os.fsencode(folder) + b"/", index)
    starts = range(0, len(index), CHUNK)
    began_s = time.perf_counter()
    yield look(0)
    if (time.perf_counter() - began_s) / min(CHUNK, len(index)) < SLOW_S:
        yield from map(look, starts[1:])
    else:
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            yield from pool.map(look, starts[1:])


def _look(folder: bytes, index: FileIndex, start: int) -> bytes:
    stop = min(start + CHUNK, len(index))
    lines = []
    for name, label in zip(index.encoded(start, stop), index.labels[start:stop].tolist(), strict=True):
        try:
            size = os.stat(folder + name).st_size  # noqa: PTH116 - a million Paths take seconds
        except OSError:
            size = -1
        lines.append(b"%s\0%d\0%d\n" % (name, label, size))
    return b"".join(lines)
