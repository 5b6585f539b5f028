"""CIFAR-10: 60,000 images of 32 x 32 pixels, from Alex Krizhevsky's "Learning Multiple Layers" (2009).

Its test images validate. Read in the "binary version": every record is a label and 3 x 32 x 32 bytes, so that
nothing in the files can run. The version for Python, which torchvision reads, consists of pickles, and to
load a pickle is to run what its author wrote.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.downloads.archives import Archive
from datamodules.errors import DataError
from datamodules.sources import Source

if TYPE_CHECKING:
    from datamodules.images import Images
    from datamodules.progress import Progress
    from datamodules.sources.in_memory import MemorySplit

NAME = "cifar-10-batches-bin"
ARCHIVE = Archive(
    "cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
    170_052_171,
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
)
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
VAL = ("test_batch.bin",)
WANTED = re.compile(rf"{NAME}/(data_batch_[1-5]\.bin|test_batch\.bin|batches\.meta\.txt)", re.ASCII)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
COMMAND = "python -m datamodules prepare cifar10 --root"


def open_cifar10(root: Path | None) -> "Images":
    """Loads the images, 184 MB.

    Raises:
        DataError: They are not there, or not whole.
    """
    from datamodules.downloads.installing import inner
    from datamodules.images import Images

    if root is None:
        raise DataError(f"Name a folder for CIFAR-10 as the root; `{COMMAND} DIR` downloads it.")
    folder = inner(root, NAME)
    if not (folder / VAL[0]).is_file():
        raise DataError(
            f"{root} does not hold CIFAR-10's binary version, {NAME}/*.bin; `{COMMAND} {root}` downloads it."
        )
    return Images(
        class_names=CLASSES,
        train=read_batches(folder, TRAIN),
        val=read_batches(folder, VAL),
        # Of its 50,000 training images.
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    )


def read_batches(folder: Path, names: tuple[str, ...]) -> "MemorySplit":
    """Reads files of records.

    Raises:
        DataError: One is missing or has something else in it.
    """
    import numpy as np
    import torch

    from datamodules.sources.in_memory import MemorySplit

    batches = []
    for name in names:
        try:
            data = np.fromfile(folder / name, np.uint8)
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read: {str(error.strerror).lower()}.") from error
        if not len(data) or len(data) % RECORD_BYTES or data[::RECORD_BYTES].max() >= len(CLASSES):
            raise DataError(f"{folder / name} is damaged; remove {folder} and prepare it again.")
        batches.append(data.reshape(-1, RECORD_BYTES))
    records = np.concatenate(batches)
    pixels = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
    return MemorySplit(torch.from_numpy(pixels), torch.from_numpy(records[:, 0].astype(np.int64)))


def prepare_cifar10(root: Path, archives: Path | None, progress: "Progress") -> None:
    """Downloads 170 MB, unless the archive is there, and unpacks them."""
    from datamodules.downloads.installing import install

    install(ARCHIVE, NAME, WANTED, root, archives, progress)


SOURCE = Source(
    key="cifar10",
    title="CIFAR-10",
    description="50,000 and 10,000 images of 32 px in 10 classes. Needs the folder that "
    "python -m datamodules prepare cifar10 downloads once (170 MB).",
    open=open_cifar10,
    needs_root=True,
    order=2,
    in_memory=True,
    threads=True,
    prepare=prepare_cifar10,
)
