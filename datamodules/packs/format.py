"""Packs: all images of a source in a few files that NumPy opens by itself, mapped into memory.

A folder with ``manifest.json`` (form, side, class names, what was left out) and, for ``train`` and ``val``,
``images.npy`` and ``records.npy``. In the form ``raw`` the first is uint8, N x side x side x 3; in the form
``jpeg`` it is one file after the other, and ``records["end"]`` says where each one ends. See
`datamodules.packs.writer` for how they are made.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError, printable
from datamodules.images import Channels, Chooser, Images, NamedBytes, Pixels, UnreadableImage
from datamodules.pixels.decoding import read_image, read_view
from datamodules.pixels.resampling import cut

Form = Literal["jpeg", "raw"]
VERSION = 1
SPLITS = ("train", "val")
MANIFEST, IMAGES, RECORDS = "manifest.json", "images.npy", "records.npy"
# Of each image: where its bytes end, its class, its number in the source, and a checksum of its bytes.
RECORD = np.dtype([("end", "<i8"), ("label", "<i4"), ("number", "<i4"), ("crc", "<u4")])


@dataclass(frozen=True)
class Manifest:
    """What a pack says of itself.

    Attributes:
        form: ``jpeg`` or ``raw``.
        side: Of the squares in the form ``raw``, of the short sides otherwise (smaller ones are kept).
        quality: Of the JPEGs, 1 to 100.
        source: Key of the source it was made from.
        source_digest: Of that source's images; see `datamodules.manifest`.
        class_names: In the order of the labels.
        mean: Of each channel of the training images, where white is 1.
        std: Standard deviation of the same.
        can_mirror: Whether a mirrored image still shows the same thing.
        images: Of each split.
        left_out: Names of images that could not be read, of each split.
    """

    form: Form
    side: int
    quality: int
    source: str
    source_digest: str
    class_names: tuple[str, ...]
    mean: Channels
    std: Channels
    can_mirror: bool
    images: Mapping[str, int]
    left_out: Mapping[str, list[str]]
    version: int = VERSION

    def write(self) -> bytes:
        """Returns JSON."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


@dataclass(frozen=True, eq=False)
class PackedSplit:
    """Images of a pack; safe to read from several threads.

    Attributes:
        folder: Of the split.
        form: Of the pack.
        images: uint8, N x side x side x 3, or the bytes of all JPEGs.
        records: What is known of each image.
    """

    folder: Path
    form: Form
    images: Pixels
    records: NDArray[Any]

    def __len__(self) -> int:
        return len(self.records)

    def label(self, index: int) -> int:
        """Returns the class of an image."""
        return int(self._labels[index])

    def read(self, index: int) -> Tensor:
        """Returns a whole image.

        Raises:
            UnreadableImage: Its bytes have changed since it was packed.
        """
        if zlib.crc32(self._stored(index).data) != self.records[index]["crc"]:
            raise UnreadableImage(f"{self._name(index)} (its bytes have changed since it was packed)")
        if self.form == "raw":
            return torch.from_numpy(self.images[index]).permute(2, 0, 1)
        return read_image(self._file(index))

    def view(self, index: int, choose: Chooser, out: Pixels) -> None:
        """Writes a part of an image, without a look at its checksum."""
        if self.form == "raw":
            image = self.images[index]
            cut(image, choose(*image.shape[:2]), out)
        else:
            read_view(self._file(index), choose, out)

    def encoded(self, index: int) -> NamedBytes | None:
        """Returns a JPEG as it was packed; None in the form ``raw``."""
        return None if self.form == "raw" else self._file(index)

    def digest(self) -> str:
        """Covers every image by its checksum, and the labels."""
        return hashlib.sha256(np.ascontiguousarray(self.records).data).hexdigest()

    def _stored(self, index: int) -> Pixels:
        start = self._ends[index - 1] if index else 0
        stored: Pixels = self.images[index] if self.form == "raw" else self.images[start : self._ends[index]]
        return stored

    @cached_property
    def _labels(self) -> NDArray[np.int32]:
        return self.records["label"]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return self.records["end"]

    def _file(self, index: int) -> NamedBytes:
        return NamedBytes(self._stored(index).tobytes(), self._name(index))

    def _name(self, index: int) -> str:
        return f"{self.where}, image {index}"

    @cached_property
    def where(self) -> str:
        """Where the images are, for messages."""
        return printable(self.folder / IMAGES)

    def __reduce__(self) -> tuple[Any, ...]:
        # A process that is not forked maps the files as well, instead of getting a copy of them.
        return open_split, (self.folder, self.form, len(self))


def open_pack(root: Path | None) -> Images:
    """Maps a pack; reads no image.

    Raises:
        DataError: It is not there, not finished, cut off or damaged.
    """
    if root is None:
        raise DataError("Name the folder of a pack as the root; `python -m datamodules pack` makes one.")
    manifest = read_manifest(root)
    return Images(
        class_names=manifest.class_names,
        train=open_split(root / "train", manifest.form, manifest.images["train"]),
        val=open_split(root / "val", manifest.form, manifest.images["val"]),
        mean=manifest.mean,
        std=manifest.std,
        can_mirror=manifest.can_mirror,
    )


def read_manifest(root: Path) -> Manifest:
    """Reads what a pack says of itself.

    Raises:
        DataError: It is not there, not finished, or not in this format.
    """
    file = root / MANIFEST
    if (root / "packing.json").exists() and not file.exists():
        raise DataError(f"{printable(root)} is not fully packed yet; run the same command again to go on.")
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
        manifest = Manifest(**found | {name: tuple(found[name]) for name in ("class_names", "mean", "std")})
        if manifest.version != VERSION or manifest.form not in get_args(Form):
            raise DataError(f"{printable(file)} is of another version; pack the images again.")
        if sorted(manifest.images) != sorted(SPLITS):
            raise ValueError(manifest.images)
    except FileNotFoundError as error:
        raise DataError(
            f"{printable(root)} is no pack: it has no {MANIFEST}; `python -m datamodules pack` makes one."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{printable(file)} cannot be read; pack the images again.") from error
    return manifest


def open_split(folder: Path, form: Form, num_images: int) -> PackedSplit:
    """Maps the files of a split.

    Raises:
        DataError: They are missing, cut off or damaged.
    """
    # Copied on write, which never happens: torch wants to be allowed.
    images, records = (_map(folder / name) for name in (IMAGES, RECORDS))
    ends = records["end"] if records.dtype == RECORD else None
    if (
        ends is None
        or len(records) != num_images
        or images.dtype != np.uint8
        or images.ndim != (4 if form == "raw" else 1)
        or images.size != (ends[-1] if num_images else 0)
        or (np.diff(ends) < 0).any()
    ):
        raise DataError(f"{printable(folder)} does not hold what its pack says; pack the images again.")
    return PackedSplit(folder, form, images, records)


def _map(file: Path) -> NDArray[Any]:
    try:
        # As a plain array: slices of NumPy's own class for maps take ten times as long.
        mapped = np.load(file, mmap_mode="c", allow_pickle=False)
        return mapped.view(np.ndarray)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        what = f"{printable(file)} is missing, cut off or damaged"
        raise DataError(f"{what}; pack the images again.") from error
