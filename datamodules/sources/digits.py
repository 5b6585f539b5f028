"""The handwritten digits of scikit-learn: real images that need no download.

1,797 scans of 8 x 8 pixels with 17 grey levels, from the test part of Alpaydin and Kaynak's "Optical
Recognition of Handwritten Digits" (UCI, 1998). Every fifth image of a class is used for validation, which
gives 1,433 training and 364 validation images. A black frame of one pixel surrounds each digit, since crops
designed for photographs remove an eighth.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.problems import DataError, Root
from datamodules.sources import Source

if TYPE_CHECKING:
    from datamodules.images import Images

VAL_EVERY = 5


def open_digits() -> "Images":
    """Load the digits."""
    import numpy as np
    import torch

    from datamodules.images import Images
    from datamodules.sources.in_memory import MemorySplit

    # Each line has 64 pixels and the digit; 16 is the brightest of 17 grey levels.
    table = np.loadtxt(find_file(), delimiter=",")
    pixels = torch.from_numpy((table[:, :-1].reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8))
    pixels = torch.nn.functional.pad(pixels, (1, 1, 1, 1))[:, None]
    labels = torch.from_numpy(table[:, -1].astype(np.int64))
    is_val = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        is_val[(labels == digit).nonzero().flatten()[::VAL_EVERY]] = True
    train = MemorySplit(pixels[~is_val], labels[~is_val])
    mean, std = float(train.pixels.float().mean() / 255), float(train.pixels.float().std() / 255)
    return Images(
        class_names=tuple(str(digit) for digit in range(10)),
        train=train,
        val=MemorySplit(pixels[is_val], labels[is_val]),
        mean=(mean, mean, mean),
        std=(std, std, std),
        can_mirror=False,
    )


def find_file() -> Path:
    """Return scikit-learn's file, without the slow import of scikit-learn.

    Raises:
        DataError: scikit-learn or its data are not installed.
    """
    found = find_spec("sklearn")
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            return file
    raise DataError(Root.NO_SCIKIT_LEARN)


SOURCE = Source(
    key="digits",
    title="Digits",
    description="1,797 real handwritten digits of 8 x 8 pixels with a black frame, 10 classes. Part of the "
    "installation, no download needed.",
    open=open_digits,
    order=1,
    in_memory=True,
    threads=True,
)
