"""The handwritten digits of scikit-learn: real images that need no download.

1,797 scans of 8 x 8 pixels with 17 grey levels, from Alpaydin and Kaynak's "Optical Recognition of
Handwritten Digits" (UCI, 1998; its test part). Every fifth image of a class is for validation: 1,433 and
364 images, the same split for everybody. A black frame of one pixel surrounds each digit, since the crops
made for photographs cut an eighth off.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.sources import Source

if TYPE_CHECKING:
    from datamodules.images import Images

VAL_EVERY = 5


def open_digits(root: Path | None) -> "Images":
    """Loads the digits; there is no folder to name."""
    import numpy as np
    import torch

    from datamodules.images import Images
    from datamodules.sources.in_memory import MemorySplit

    # 64 pixels and the digit a line; 16 is the whitest of 17 grey levels.
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
    """Returns scikit-learn's file; importing scikit-learn to read it takes longer than all the rest here.

    Raises:
        DataError: It is not installed, or without its data.
    """
    found = find_spec("sklearn")
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            return file
    raise DataError("The digits come with scikit-learn, which is not installed: pip install scikit-learn.")


SOURCE = Source(
    key="digits",
    title="Digits",
    description="1,797 real handwritten digits, 8 x 8 pixels in a black frame of one, 10 classes; part of "
    "the installation, nothing to download.",
    open=open_digits,
    order=1,
    in_memory=True,
    threads=True,
)
