"""Tiny ImageNet as Stanford's course CS231n distributes it: 200 classes of ImageNet at 64 x 64 pixels.

``train/<wnid>/images/*.JPEG`` (500 a class) and ``val/images/*.JPEG`` (10,000), whose classes are in
``val/val_annotations.txt``; the images in ``test/`` have no labels.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError, printable
from datamodules.sources import Source
from datamodules.sources.folder import FolderSplit, list_classes

if TYPE_CHECKING:
    from datamodules.images import Images

NAME = "tiny-imagenet-200"
ANNOTATIONS = "val_annotations.txt"


def open_tiny_imagenet(root: Path | None) -> "Images":
    """Lists the images.

    Raises:
        DataError: They are not there, or the annotations name others.
    """
    from datamodules.downloads.installing import inner
    from datamodules.images import Images
    from datamodules.index import read_index

    if root is None:
        raise DataError(f"Name the folder {NAME}, as unpacked from {NAME}.zip, as the root of the data.")
    if not root.is_dir():
        raise DataError(f"There is no folder {root}; name {NAME}, as unpacked from {NAME}.zip.")
    folder = inner(root, NAME)
    if not (folder / "val" / ANNOTATIONS).is_file():
        raise DataError(
            f"{folder} has no val/{ANNOTATIONS}; choose the source folder for a val/ sorted by class."
        )
    classes = list_classes(folder / "train")
    train = read_index(folder / "train", [os.path.join(name, "images") for name in classes])  # noqa: PTH118
    return Images(
        class_names=tuple(classes),
        train=FolderSplit(folder / "train", train),
        val=list_val(folder / "val", classes),
    )


def list_val(folder: Path, classes: list[str]) -> FolderSplit:
    """Lists the images that the annotations name.

    Raises:
        DataError: They name a class or an image that is not there, or leave one out.
    """
    from datamodules.index import FileIndex, list_names

    labels = {name: label for label, name in enumerate(classes)}
    rows = [line.split("\t") for line in _read(folder / ANNOTATIONS).splitlines() if line]
    annotated = {row[0]: row[1] for row in rows if len(row) > 1}
    there = {os.fsdecode(name) for name in list_names(folder / "images", lambda entry: entry.is_file())}
    for names, sentence in (
        (annotated.keys() - there, "names {}, which is not in val/images"),
        (there - annotated.keys(), "does not name {}, which is in val/images"),
        (set(annotated.values()) - labels.keys(), "has the class {}, which is not in train/"),
        (labels.keys() - set(annotated.values()), "has no image of the class {}"),
    ):
        if names:
            some = printable(min(names)) + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
            raise DataError(f"{folder / ANNOTATIONS} {sentence.format(some)}; unpack {NAME}.zip again.")
    index = FileIndex.of(list(annotated), [labels[name] for name in annotated.values()])
    return FolderSplit(folder / "images", index)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read; unpack {NAME}.zip again.") from error


SOURCE = Source(
    key="tiny-imagenet",
    title="Tiny ImageNet",
    description="200 classes of ImageNet at 64 px: 100,000 images to train on, 10,000 to validate. Needs the "
    f"folder {NAME} as unpacked from Stanford's {NAME}.zip.",
    open=open_tiny_imagenet,
    needs_root=True,
    threads=True,
    order=3,
)
