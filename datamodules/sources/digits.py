"""The handwritten digits of scikit-learn: real images that need no download.

1,797 scans of 8 x 8 pixels with 17 grey levels, from Alpaydin and Kaynak's "Optical Recognition of
Handwritten Digits" (UCI, 1998; its test part). Every fifth image of a class is for validation: 1,433 and
364 images, the same split for everybody. A black frame of one pixel surrounds each digit, since the crops
made for photographs cut an eighth off.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.sources import Source

if TYPE_CHECKING:
    from datamodules.images import Images

VAL_EVERY = 5


def open_digits(root: Path | None) -> "Images":
    """Loads the digits; there is no folder to name."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    from datamodules.images import Images
    from datamodules.memory import MemorySplit

    digits: Any = load_digits()
    # 16 is the whitest of 17 grey levels.
    pixels = torch.from_numpy((digits.images * 255 / 16).round().astype(np.uint8))
    pixels = torch.nn.functional.pad(pixels, (1, 1, 1, 1))[:, None]
    labels = torch.from_numpy(digits.target.astype(np.int64))
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


SOURCE = Source(
    key="digits",
    title="Digits",
    description="1,797 real handwritten digits, 8 x 8 pixels, 10 classes; part of the installation, "
    "nothing to download.",
    open=open_digits,
    order=1,
    in_memory=True,
)
