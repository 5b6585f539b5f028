"""Imagenette: ten classes of ImageNet that are easy to tell apart, by Jeremy Howard of fast.ai.

This is the second edition with a short side of 320 pixels, which torchvision also uses: 9,469 training and
3,925 validation images.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.downloads.archives import Archive
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


def open_imagenette(root: Path) -> "Images":
    """List the images.

    Raises:
        DataError: They are missing or incomplete.
        OSError: They cannot be read.
    """
    from datamodules.downloads.installing import inner

    return open_folder(inner(root, NAME))


def prepare_imagenette(root: Path, archives: Path | None, progress: "Progress") -> None:
    """Download 342 MB, unless the archive already exists, and unpack them."""
    from datamodules.downloads.installing import install

    install(ARCHIVE, NAME, IMAGE, root, archives, progress)


SOURCE = Source(
    key="imagenette",
    title="Imagenette",
    description="Ten easy classes of ImageNet, 13,394 photographs of 320 px. Needs the folder that "
    "python -m datamodules prepare imagenette downloads once (342 MB).",
    open=open_imagenette,
    root="the folder that `python -m datamodules prepare imagenette --root DIR` makes",
    threads=True,
    order=4,
    prepare=prepare_imagenette,
)
