"""A split made of chunks (see `datamodules.streams.chunks`), in a folder or at an address."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from datamodules.images import Chooser, NamedBytes, Parts, Pixels
from datamodules.pixels.decoding import read_image, read_view
from datamodules.problems import DataError, LitData, UnreadableImage, explain, printable
from datamodules.streams.chunks import Chunks, DamagedChunk, read_label, read_leaves, to_file

# Images of an address that are shuffled at a time, which take 0.5 to 2 GB.
WINDOW = 16_384


class ChunkFiles(Protocol):
    """A place from which chunks can be read."""

    def open(self, name: str, size_bytes: int) -> AbstractContextManager[int]:
        """Open a chunk for reading. Raises DataError."""

    def expect(self, name: str, size_bytes: int) -> None:
        """Start to download a chunk that will be needed soon."""


@dataclass(frozen=True)
class ChunkFolder:
    """Chunks in a folder of this machine."""

    folder: Path

    @contextmanager
    def open(self, name: str, size_bytes: int) -> Iterator[int]:
        """Open a chunk for reading. Raises DataError."""
        try:
            handle = os.open(self.folder / name, os.O_RDONLY)
        except OSError as error:
            raise explain(error) from error
        try:
            yield handle
        finally:
            os.close(handle)

    def expect(self, name: str, size_bytes: int) -> None:
        """Do nothing, since all chunks are on this machine."""


@dataclass(frozen=True, eq=False)
class ChunkSplit:
    """Images in chunks.

    Attributes:
        where: Folder or address of the split, for messages.
        chunks: List of the chunks.
        files: Where they are read from.
        labels: Labels of all images; None if they are only in the chunks.
        num_classes: Number of classes.
    """

    where: str
    chunks: Chunks
    files: ChunkFiles
    labels: NDArray[np.integer[Any]] | None
    num_classes: int

    def __len__(self) -> int:
        return len(self.chunks)

    @property
    def parts(self) -> Parts | None:
        """The chunks; None for a folder, whose images can be read in any order."""
        return None if isinstance(self.files, ChunkFolder) else Parts(self.chunks.ends, WINDOW)

    def label(self, index: int) -> int:
        """Return the class of an image; without a list of labels, it is read from the chunk."""
        if self.labels is not None:
            return int(self.labels[index])
        with self._at(index) as (handle, place):
            label = read_label(handle, place, self.chunks.leaves)
        if not 0 <= label < self.num_classes:
            raise DataError(
                LitData.LABEL_OUT_OF_RANGE, where=self._place(index), label=label, number=self.num_classes
            )
        return label

    def read(self, index: int) -> Tensor:
        """Decode one image; see `datamodules.pixels.decoding.read_image`."""
        return read_image(self.encoded(index))

    def view(self, index: int, choose: Chooser, out: Pixels) -> None:
        """Decode a part of one image; see `datamodules.pixels.decoding.read_view`."""
        read_view(self.encoded(index), choose, out)

    def encoded(self, index: int) -> NamedBytes:
        """Return the file unchanged.

        Raises:
            UnreadableImage: The chunk is damaged there.
            DataError: The chunk cannot be downloaded or read.
        """
        leaves = self.chunks.leaves
        with self._at(index) as (handle, place):
            found = read_leaves(handle, place, leaves)
            name = self._place(index)
            if leaves.name is not None:
                name = f"{printable(found[leaves.name])} in {name}"
            return NamedBytes(to_file(found[leaves.image], leaves), name)

    def digest(self) -> str:
        """Return a digest of the names and sizes of the chunks, and of the list of labels if there is one."""
        rows = zip(self.chunks.names, self.chunks.sizes_bytes, self.chunks.ends.tolist(), strict=True)
        labels = [] if self.labels is None else self.labels.tolist()
        return hashlib.sha256(json.dumps([list(rows), labels]).encode()).hexdigest()

    def expect(self, index: int) -> None:
        """Start to download the chunk of an image that will be needed soon."""
        chunk, _ = self.chunks.locate(index)
        self.files.expect(self.chunks.names[chunk], self.chunks.sizes_bytes[chunk])

    @contextmanager
    def _at(self, index: int) -> Iterator[tuple[int, int]]:
        chunk, place = self.chunks.locate(index)
        try:
            with self.files.open(self.chunks.names[chunk], self.chunks.sizes_bytes[chunk]) as handle:
                yield handle, place
        except DamagedChunk as error:
            raise UnreadableImage(error.defect, **error.values, name=self._place(index)) from error

    def _place(self, index: int) -> str:
        chunk, place = self.chunks.locate(index)
        return f"{self.where}/{self.chunks.names[chunk]}, image {place}"
