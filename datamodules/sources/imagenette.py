"""Imagenette: ten classes of ImageNet that are easy to tell apart, by Jeremy Howard of fast.ai.

Here its second edition with a short side of 320 pixels, as torchvision names it: 9,469 images to train on and
3,925 to validate.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.downloads.archives import Archive
from datamodules.errors import DataError
from datamodules.sources import Source
from datamodules.sources.folder import open_folder

if TYPE_CHECKING:
    from datamodules.images import Images
    from datamodules.progress import Progress

NAME = "imagenette2-320"
ARCHIVE = Archive(
    f"{NAME}.tgz",
    "3df6f0d01a2c9592104656642f5e78a3",
    341_663_724,
    f"https://s3.amazonaws.com/fast-ai-imageclas/{NAME}.tgz",
)
IMAGE = re.compile(rf"{NAME}/(train|val)/n\d{{8}}/[\w.-]+\.JPEG", re.ASCII)
COMMAND = "python -m datamodules prepare imagenette --root"


def open_imagenette(root: Path | None) -> "Images":
    """Lists the images.

    Raises:
        DataError: They are not there.
    """
    from datamodules.downloads.installing import inner

    if root is None or not inner(root, NAME).is_dir():
        where = "Name a folder for Imagenette as the root" if root is None else f"There is no folder {root}"
        raise DataError(f"{where}; `{COMMAND} {root or 'DIR'}` downloads it.")
    return open_folder(inner(root, NAME))


def prepare_imagenette(root: Path, archives: Path | None, progress: "Progress") -> None:
    """Downloads 342 MB, unless the archive is there, and unpacks them."""
    from datamodules.downloads.installing import install

    install(ARCHIVE, NAME, IMAGE, root, archives, progress)


SOURCE = Source(
    key="imagenette",
    title="Imagenette",
    description="Ten easy classes of ImageNet, 13,394 photographs of 320 px. Needs the folder that "
    "python -m datamodules prepare imagenette downloads once (342 MB).",
    open=open_imagenette,
    needs_root=True,
    threads=True,
    order=4,
    prepare=prepare_imagenette,
)
