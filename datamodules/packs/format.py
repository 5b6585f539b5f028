"""Packs: all images of a source in a few plain NumPy files, which are memory-mapped.

A pack is a folder with ``manifest.json`` (form, side, class names, names of unreadable images) and, for
``train`` and ``val``, ``images.npy`` and ``records.npy``. In the form ``raw``, ``images.npy`` is uint8, N x
side x side x 3; in the form ``jpeg`` it is the concatenation of all files, and ``records["end"]`` has the end
of each. See `datamodules.packs.writer` for how packs are made.
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

from datamodules.images import Channels, Chooser, Images, NamedBytes, Pixels
from datamodules.pixels.decoding import read_image, read_view
from datamodules.pixels.resampling import cut
from datamodules.problems import DataError, Defect, Pack, UnreadableImage, printable

Form = Literal["jpeg", "raw"]
VERSION = 1
SPLITS = ("train", "val")
MANIFEST, IMAGES, RECORDS = "manifest.json", "images.npy", "records.npy"
# For each image: the end of its bytes, its class, its index in the source, and a checksum of its bytes.
RECORD = np.dtype([("end", "<i8"), ("label", "<i4"), ("number", "<i4"), ("crc", "<u4")])


@dataclass(frozen=True)
class Manifest:
    """The description of a pack.

    Attributes:
        form: ``jpeg`` or ``raw``.
        side: Side of the squares in the form ``raw``, or the largest short side in the form ``jpeg``, in
            pixels.
        quality: Quality of the JPEGs, 1 to 100.
        source: Key of the source.
        source_digest: Digest of the source's images; see `datamodules.manifest`.
        class_names: Class names in the order of the labels.
        mean: Mean of each channel of the training images, where white is 1.
        std: Standard deviation of each channel of the training images.
        can_mirror: Whether a mirrored image still shows the same class.
        images: Number of images in each split.
        left_out: Names of the unreadable images in each split.
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
        """Return the manifest as JSON."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


@dataclass(frozen=True, eq=False)
class PackedSplit:
    """Images of a pack; thread-safe.

    Attributes:
        folder: Folder of the split.
        form: Form of the pack.
        images: uint8, N x side x side x 3, or the bytes of all JPEGs.
        records: `RECORD` of each image.
    """

    folder: Path
    form: Form
    images: Pixels
    records: NDArray[Any]

    def __len__(self) -> int:
        return len(self.records)

    def label(self, index: int) -> int:
        """Return the class of an image."""
        return int(self._labels[index])

    def read(self, index: int) -> Tensor:
        """Return a whole image.

        Raises:
            UnreadableImage: Its bytes have changed since it was packed.
        """
        if zlib.crc32(self._stored(index).data) != self.records[index]["crc"]:
            raise UnreadableImage(Defect.CHANGED, name=self._name(index))
        if self.form == "raw":
            return torch.from_numpy(self.images[index]).permute(2, 0, 1)
        return read_image(self._file(index))

    def view(self, index: int, choose: Chooser, out: Pixels) -> None:
        """Write a view of an image, without checking its checksum."""
        if self.form == "raw":
            image = self.images[index]
            cut(image, choose(*image.shape[:2]), out)
        else:
            read_view(self._file(index), choose, out)

    def encoded(self, index: int) -> NamedBytes | None:
        """Return a JPEG unchanged; None in the form ``raw``."""
        return None if self.form == "raw" else self._file(index)

    def digest(self) -> str:
        """Return a digest of the labels and the checksums of all images."""
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
        """File of the images, for messages."""
        return printable(self.folder / IMAGES)

    def __reduce__(self) -> tuple[Any, ...]:
        # A process that is not forked also maps the files, instead of getting a copy of the arrays.
        return open_split, (self.folder, self.form, len(self))


def open_pack(root: Path) -> Images:
    """Map the files of a pack without reading any image.

    Raises:
        DataError: It is missing, incomplete or damaged.
    """
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
    """Read the description of a pack.

    Raises:
        DataError: The pack is missing, incomplete, or not in this format.
    """
    file = root / MANIFEST
    if (root / "packing.json").exists() and not file.exists():
        raise DataError(Pack.UNFINISHED, root=root)
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
        manifest = Manifest(**found | {name: tuple(found[name]) for name in ("class_names", "mean", "std")})
        if manifest.version != VERSION or manifest.form not in get_args(Form):
            raise DataError(Pack.OTHER_VERSION, file=file)
        if sorted(manifest.images) != sorted(SPLITS):
            raise ValueError(manifest.images)
    except FileNotFoundError as error:
        raise DataError(Pack.NOT_A_PACK, root=root, name=MANIFEST) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(Pack.DAMAGED, file=file) from error
    return manifest


def open_split(folder: Path, form: Form, num_images: int) -> PackedSplit:
    """Map the files of a split.

    Raises:
        DataError: They are missing, truncated or damaged.
    """
    # Mapped as copy-on-write, since torch warns about read-only arrays; nothing is ever written.
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
        raise DataError(Pack.DAMAGED, file=folder)
    return PackedSplit(folder, form, images, records)


def _map(file: Path) -> NDArray[Any]:
    try:
        # A plain array: slices of np.memmap take ten times as long.
        mapped = np.load(file, mmap_mode="c", allow_pickle=False)
        return mapped.view(np.ndarray)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(Pack.DAMAGED, file=file) from error
