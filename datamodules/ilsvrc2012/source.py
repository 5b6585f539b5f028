"""ImageNet (ILSVRC2012), as ``prepare`` unpacks it from the archives of the challenge."""

from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.problems import DataError, Root
from datamodules.sources import Source
from datamodules.sources.folder import open_folder

if TYPE_CHECKING:
    from datamodules.images import Images
    from datamodules.progress import Progress


def open_imagenet(root: Path) -> "Images":
    """List the images without reading any.

    Raises:
        DataError: They are missing, not completely unpacked, or not in ImageNet's 1,000 classes.
        OSError: They cannot be read.
    """
    from datamodules.ilsvrc2012.labels import wnids
    from datamodules.ilsvrc2012.record import read_record

    record = read_record(root)
    if record and not record.is_complete:
        raise DataError(Root.NOT_UNPACKED, root=root)
    images = open_folder(root)
    if images.class_names != wnids():
        missing = len(set(wnids()) - set(images.class_names))
        raise DataError(Root.NOT_IMAGENET, root=root, number=len(images.class_names), missing=missing)
    return images


def prepare_imagenet(root: Path, archives: Path | None, progress: "Progress") -> None:
    """Unpack the archives; see `datamodules.ilsvrc2012.unpacking.prepare`."""
    from datamodules.ilsvrc2012.unpacking import prepare

    prepare(root, archives, progress)


SOURCE = Source(
    key="imagenet",
    title="ImageNet",
    description="ILSVRC2012: 1,281,167 training and 50,000 validation images in 1,000 classes. Needs the "
    "folder that python -m datamodules prepare imagenet makes from the three archives of image-net.org.",
    open=open_imagenet,
    root="the folder that `python -m datamodules prepare imagenet --archives DIR --root DIR` makes",
    threads=True,
    order=5,
    prepare=prepare_imagenet,
)
