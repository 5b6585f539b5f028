"""A folder in ImageNet's layout: ``train/<wnid>/*`` and ``val/<wnid>/*``, with classes sorted by name."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.problems import DataError, Root, printable, shorten
from datamodules.sources import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from datamodules.images import Chooser, Images, NamedBytes, Pixels
    from datamodules.index import FileIndex

# Classes that an error names.
MAX_NAMED = 3


@dataclass(frozen=True)
class FolderSplit:
    """Image files, given by paths relative to a folder."""

    folder: Path
    index: "FileIndex"

    def __len__(self) -> int:
        return len(self.index)

    @property
    def labels(self) -> "NDArray[np.int32]":
        """Labels of all images."""
        return self.index.labels

    def label(self, index: int) -> int:
        """Return the index of the image's class among the sorted classes."""
        return int(self.index.labels[index])

    def read(self, index: int) -> "Tensor":
        """Decode one image; see `datamodules.pixels.decoding.read_image`."""
        from datamodules.pixels.decoding import read_image

        return read_image(self.folder / self.index.file(index))

    def view(self, index: int, choose: "Chooser", out: "Pixels") -> None:
        """Decode a view of one image; see `datamodules.pixels.decoding.read_view`."""
        from datamodules.pixels.decoding import read_view

        read_view(self.folder / self.index.file(index), choose, out)

    def encoded(self, index: int) -> "NamedBytes":
        """Return a file unchanged; its name is relative to the split's folder."""
        from datamodules.pixels.decoding import read_file

        name = self.index.file(index)
        return read_file(self.folder / name, printable(name))

    def digest(self) -> str:
        """Return a digest of names, labels and sizes; see `datamodules.manifest.digest_files`."""
        from datamodules.manifest import digest_files

        return digest_files(self.folder, self.index)


def open_folder(root: Path) -> "Images":
    """List the images of a folder without reading any.

    Raises:
        DataError: A part of the folder is missing or empty, or train and val differ in their classes.
        OSError: A part of the folder cannot be read.
    """
    from datamodules.images import Images

    classes = list_classes(root / "train")
    compare_classes(classes, list_classes(root / "val"), root)
    if len(classes) < 2:
        raise DataError(Root.ONE_CLASS, folder=root / "train", name=printable(classes[0]))
    return Images(
        class_names=tuple(classes),
        train=list_split(root / "train", classes),
        val=list_split(root / "val", classes),
    )


def list_classes(folder: Path) -> list[str]:
    """Return the sorted names of the class folders.

    Raises:
        DataError: There is no such folder, or it has no class folders.
        OSError: It cannot be read.
    """
    from datamodules.index import list_names

    if not folder.is_dir():
        raise DataError(Root.NO_SPLIT, folder=folder)
    classes = [os.fsdecode(name) for name in list_names(folder, _is_folder)]
    if not classes:
        raise DataError(Root.NO_CLASSES, folder=folder, name=folder.name)
    return classes


def compare_classes(train: list[str], val: list[str], root: Path) -> None:
    """Check that both splits have the same classes.

    Raises:
        DataError: They do not.
    """
    for here, there, name, other in ((train, val, "train", "val"), (val, train, "val", "train")):
        missing = sorted(set(here) - set(there))
        if missing:
            some = shorten(missing, MAX_NAMED)
            raise DataError(Root.CLASSES_DIFFER, root=root, split=name, other=other, some=some)


def list_split(folder: Path, classes: list[str]) -> FolderSplit:
    """List the files of every class, whatever their suffixes; see `datamodules.index.read_index`.

    Raises:
        DataError: A class has no files.
        OSError: A folder cannot be read.
    """
    from datamodules.index import read_index

    return FolderSplit(folder, read_index(folder, classes))


def _is_folder(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False


SOURCE = Source(
    key="folder",
    title="ImageNet folder",
    description="Any folder on this machine in ImageNet's layout: train/<class>/* and val/<class>/*, "
    "such as train/n01440764/*.JPEG.",
    open=open_folder,
    root="the folder that holds train/ and val/",
    threads=True,
    order=6,
)
