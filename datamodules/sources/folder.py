"""A folder in ImageNet's layout: ``train/<wnid>/*`` and ``val/<wnid>/*``, the classes sorted by name."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError, printable
from datamodules.sources import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from datamodules.images import Chooser, Images, NamedBytes, Pixels
    from datamodules.index import FileIndex


@dataclass(frozen=True)
class FolderSplit:
    """Image files, by paths relative to a folder."""

    folder: Path
    index: "FileIndex"

    def __len__(self) -> int:
        return len(self.index)

    @property
    def labels(self) -> "NDArray[np.int32]":
        """Of all images."""
        return self.index.labels

    def label(self, index: int) -> int:
        """Returns the place of the image's class among the sorted classes."""
        return int(self.index.labels[index])

    def read(self, index: int) -> "Tensor":
        """Decodes one image; see `datamodules.pixels.decoding.read_image`."""
        from datamodules.pixels.decoding import read_image

        return read_image(self.folder / self.index.file(index))

    def view(self, index: int, choose: "Chooser", out: "Pixels") -> None:
        """Decodes a part of one image; see `datamodules.pixels.decoding.read_view`."""
        from datamodules.pixels.decoding import read_view

        read_view(self.folder / self.index.file(index), choose, out)

    def encoded(self, index: int) -> "NamedBytes":
        """Returns the file as it is; its name is that below the split's folder."""
        from datamodules.pixels.decoding import read_file

        name = self.index.file(index)
        return read_file(self.folder / name, printable(name))

    def digest(self) -> str:
        """Covers names, labels and sizes; see `datamodules.manifest.digest_files`."""
        from datamodules.manifest import digest_files

        return digest_files(self.folder, self.index)


def open_folder(root: Path | None) -> "Images":
    """Lists the images of a folder without reading any.

    Raises:
        DataError: The folder or a part of it is missing or empty, or train and val differ in their classes.
    """
    from datamodules.images import Images

    if root is None:
        raise DataError("Name the folder that holds train/ and val/ as the root of the data.")
    if not root.is_dir():
        raise DataError(f"There is no folder {root}; name one that holds train/ and val/.")
    classes = list_classes(root / "train")
    compare_classes(classes, list_classes(root / "val"), root)
    if len(classes) < 2:
        raise DataError(
            f"{root / 'train'} has only the class {printable(classes[0])}; a classifier needs two or more."
        )
    return Images(
        class_names=tuple(classes),
        train=list_split(root / "train", classes),
        val=list_split(root / "val", classes),
    )


def list_classes(folder: Path) -> list[str]:
    """Returns the sorted names of the class folders.

    Raises:
        DataError: There is no such folder, or no class in it.
    """
    from datamodules.index import list_names

    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; images belong into train/<class>/ and val/<class>/.")
    classes = [os.fsdecode(name) for name in list_names(folder, _is_folder)]
    if not classes:
        raise DataError(f"{folder} has no class folders; images belong into {folder.name}/<class>/.")
    return classes


def compare_classes(train: list[str], val: list[str], root: Path) -> None:
    """Makes sure that both splits have the same classes.

    Raises:
        DataError: They do not; the message names some that only one of them has.
    """
    for here, there, name, other in ((train, val, "train", "val"), (val, train, "val", "train")):
        missing = sorted(set(here) - set(there))
        if missing:
            some = ", ".join(map(printable, missing[:3])) + (" ..." if len(missing) > 3 else "")
            count = "1 class" if len(missing) == 1 else f"{len(missing)} classes"
            raise DataError(
                f"{root} has {count} in {name}/ but not in {other}/ ({some}); both need the same classes."
            )


def list_split(folder: Path, classes: list[str]) -> FolderSplit:
    """Lists the files of every class, whatever their names end in; see `datamodules.index.read_index`.

    Raises:
        DataError: A class has none.
    """
    from datamodules.index import read_index

    return FolderSplit(folder, read_index(folder, classes))


def _is_folder(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link that leads to itself
        return False


SOURCE = Source(
    key="folder",
    title="ImageNet folder",
    description="Any folder on this machine in ImageNet's layout: train/<class>/* and val/<class>/*, "
    "such as train/n01440764/*.JPEG.",
    open=open_folder,
    needs_root=True,
    threads=True,
    order=6,
)
