"""Tiny ImageNet as Stanford's course CS231n distributes it: 200 classes of ImageNet at 64 x 64 pixels.

``train/<wnid>/images/*.JPEG`` (500 per class) and ``val/images/*.JPEG`` (10,000), whose classes are in
``val/val_annotations.txt``; the images in ``test/`` have no labels and are not used.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.problems import Damaged, DataError, Root, shorten
from datamodules.sources import Source
from datamodules.sources.folder import FolderSplit, list_classes

if TYPE_CHECKING:
    from datamodules.images import Images

NAME = "tiny-imagenet-200"
ARCHIVE = f"{NAME}.zip"
ANNOTATIONS = "val_annotations.txt"
# Images or classes that an error names.
MAX_NAMED = 3


def open_tiny_imagenet(root: Path) -> "Images":
    """List the images.

    Raises:
        DataError: They are missing, or do not match the annotations.
        OSError: They cannot be read.
    """
    from datamodules.downloads.installing import inner
    from datamodules.images import Images
    from datamodules.index import read_index

    folder = inner(root, NAME)
    if not (folder / "val" / ANNOTATIONS).is_file():
        raise DataError(Root.NO_ANNOTATIONS, folder=folder, name=ANNOTATIONS)
    classes = list_classes(folder / "train")
    train = read_index(folder / "train", [os.path.join(name, "images") for name in classes])  # noqa: PTH118
    return Images(
        class_names=tuple(classes),
        train=FolderSplit(folder / "train", train),
        val=list_val(folder / "val", classes),
    )


def list_val(folder: Path, classes: list[str]) -> FolderSplit:
    """List the annotated images.

    Raises:
        DataError: The annotations do not match the images or the classes.
        OSError: A folder cannot be read.
    """
    from datamodules.index import FileIndex, list_names

    labels = {name: label for label, name in enumerate(classes)}
    rows = [line.split("\t") for line in _read(folder / ANNOTATIONS).splitlines() if line]
    annotated = {row[0]: row[1] for row in rows if len(row) > 1}
    there = {os.fsdecode(name) for name in list_names(folder / "images", lambda entry: entry.is_file())}
    for names, code in (
        (annotated.keys() - there, Damaged.ANNOTATED_ONLY),
        (there - annotated.keys(), Damaged.NOT_ANNOTATED),
        (set(annotated.values()) - labels.keys(), Damaged.UNKNOWN_CLASS),
        (labels.keys() - set(annotated.values()), Damaged.CLASS_WITHOUT_IMAGES),
    ):
        if names:
            some = shorten(sorted(names), MAX_NAMED)
            raise DataError(code, file=folder / ANNOTATIONS, some=some, archive=ARCHIVE)
    index = FileIndex.of(list(annotated), [labels[name] for name in annotated.values()])
    return FolderSplit(folder / "images", index)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(Damaged.UNREADABLE_ANNOTATIONS, file=file, archive=ARCHIVE) from error


SOURCE = Source(
    key="tiny-imagenet",
    title="Tiny ImageNet",
    description="200 classes of ImageNet at 64 px: 100,000 training and 10,000 validation images. Needs the "
    f"folder {NAME}, as unpacked from Stanford's {ARCHIVE}.",
    open=open_tiny_imagenet,
    root=f"the folder {NAME}, unpacked from {ARCHIVE},",
    threads=True,
    order=3,
)
