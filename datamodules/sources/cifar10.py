"""CIFAR-10: 60,000 images of 32 x 32 pixels, from Alex Krizhevsky's "Learning Multiple Layers" (2009).

The test images are used for validation. This module reads the "binary version", in which every record is a
label and 3 x 32 x 32 bytes, so that no code in the files can run. The version for Python, which torchvision
reads, consists of pickles, and loading a pickle runs whatever its author wrote.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.downloads.archives import Archive
from datamodules.problems import Damaged, DataError, Root
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


def open_cifar10(root: Path) -> "Images":
    """Load the images, 184 MB.

    Raises:
        DataError: They are missing or incomplete.
    """
    from datamodules.downloads.installing import inner
    from datamodules.images import Images

    folder = inner(root, NAME)
    if not (folder / VAL[0]).is_file():
        raise DataError(Root.NOT_CIFAR10, root=root, name=NAME)
    return Images(
        class_names=CLASSES,
        train=read_batches(folder, TRAIN),
        val=read_batches(folder, VAL),
        # Of the 50,000 training images.
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    )


def read_batches(folder: Path, names: tuple[str, ...]) -> "MemorySplit":
    """Read files of records.

    Raises:
        DataError: A file does not hold such records.
        OSError: A file is missing.
    """
    import numpy as np
    import torch

    from datamodules.sources.in_memory import MemorySplit

    batches = []
    for name in names:
        data = np.fromfile(folder / name, np.uint8)
        if not len(data) or len(data) % RECORD_BYTES or data[::RECORD_BYTES].max() >= len(CLASSES):
            raise DataError(Damaged.CIFAR10, file=folder / name, folder=folder)
        batches.append(data.reshape(-1, RECORD_BYTES))
    records = np.concatenate(batches)
    pixels = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
    return MemorySplit(torch.from_numpy(pixels), torch.from_numpy(records[:, 0].astype(np.int64)))


def prepare_cifar10(root: Path, archives: Path | None, progress: "Progress") -> None:
    """Download 170 MB, unless the archive already exists, and unpack them."""
    from datamodules.downloads.installing import install

    install(ARCHIVE, NAME, WANTED, root, archives, progress)


SOURCE = Source(
    key="cifar10",
    title="CIFAR-10",
    description="50,000 and 10,000 images of 32 px in 10 classes. Needs the folder that "
    "python -m datamodules prepare cifar10 downloads once (170 MB).",
    open=open_cifar10,
    root="the folder that `python -m datamodules prepare cifar10 --root DIR` makes",
    order=2,
    in_memory=True,
    threads=True,
    prepare=prepare_cifar10,
)
