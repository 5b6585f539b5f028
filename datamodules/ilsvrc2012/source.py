"""ImageNet itself, ILSVRC2012, as ``prepare`` unpacks it from the archives of the challenge."""

from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.sources import Source
from datamodules.sources.folder import open_folder

if TYPE_CHECKING:
    from datamodules.images import Images
    from datamodules.progress import Progress

COMMAND = "python -m datamodules prepare imagenet --archives DIR --root"


def open_imagenet(root: Path | None) -> "Images":
    """Lists the images without reading any.

    Raises:
        DataError: They are not there, not all unpacked yet, or not in ImageNet's 1,000 classes.
    """
    from datamodules.ilsvrc2012.labels import wnids
    from datamodules.ilsvrc2012.record import read_record

    if root is None or not root.is_dir():
        where = "Name the folder of ImageNet as the root" if root is None else f"There is no folder {root}"
        raise DataError(f"{where}; `{COMMAND} {root or 'DIR'}` makes one from the archives.")
    record = read_record(root)
    if record and not record.is_complete:
        raise DataError(f"{root} is not fully unpacked yet; `{COMMAND} {root}` goes on where it stopped.")
    images = open_folder(root)
    if images.class_names != wnids():
        missing = len(set(wnids()) - set(images.class_names))
        raise DataError(
            f"{root} has {len(images.class_names):,} classes and lacks {missing:,} of ImageNet's 1,000; "
            f"choose the source folder for it."
        )
    return images


def prepare_imagenet(root: Path, archives: Path | None, progress: "Progress") -> None:
    """Unpacks the archives; see `datamodules.ilsvrc2012.unpacking.prepare`."""
    from datamodules.ilsvrc2012.unpacking import prepare

    prepare(root, archives, progress)


SOURCE = Source(
    key="imagenet",
    title="ImageNet",
    description="ILSVRC2012: 1,281,167 images to train on and 50,000 to validate, 1,000 classes. Needs the "
    "folder that python -m datamodules prepare imagenet makes from the three archives of image-net.org.",
    open=open_imagenet,
    needs_root=True,
    threads=True,
    order=5,
    prepare=prepare_imagenet,
)
