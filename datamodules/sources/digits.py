"""The handwritten digits of scikit-learn: real images that need no download.

1,797 scans of 8 x 8 pixels with 17 grey levels, from Alpaydin and Kaynak's "Optical Recognition of
Handwritten Digits" (UCI, 1998; its test part). Every fifth image of a class is for validation: 1,433 and
364 images, the same split for everybody. A black frame of one pixel surrounds each digit, since the crops
made for photographs cut an eighth off.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.sources import Source

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.images import Images
    from datamodules.views import Chooser

VAL_EVERY = 5


@dataclass(frozen=True)
class DigitSplit:
    """Digits in memory: uint8 pixels N x 10 x 10 and N labels."""

    pixels: "Tensor"
    labels: "Tensor"

    def __len__(self) -> int:
        return len(self.labels)

    def label(self, index: int) -> int:
        """Returns the digit."""
        return int(self.labels[index])

    def read(self, index: int) -> "Tensor":
        """Returns one digit, white on black, 3 x 10 x 10."""
        return self.pixels[index].expand(3, -1, -1)

    def view(self, index: int, choose: "Chooser") -> "Tensor":
        """Returns a part of it; see `datamodules.resampling.cut_pixels`."""
        from datamodules.resampling import cut_pixels

        return cut_pixels(self.read(index), choose)

    def digest(self) -> str:
        """Covers every pixel and label."""
        from datamodules.manifest import digest_tensors

        return digest_tensors(self.pixels, self.labels)


def open_digits(root: Path | None) -> "Images":
    """Loads the digits; there is no folder to name."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    from datamodules.images import Images

    digits: Any = load_digits()
    # 16 is the whitest of 17 grey levels.
    pixels = torch.from_numpy((digits.images * 255 / 16).round().astype(np.uint8))
    pixels = torch.nn.functional.pad(pixels, (1, 1, 1, 1))
    labels = torch.from_numpy(digits.target.astype(np.int64))
    is_val = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        is_val[(labels == digit).nonzero().flatten()[::VAL_EVERY]] = True
    train = DigitSplit(pixels[~is_val], labels[~is_val])
    mean, std = float(train.pixels.float().mean() / 255), float(train.pixels.float().std() / 255)
    return Images(
        class_names=tuple(str(digit) for digit in range(10)),
        train=train,
        val=DigitSplit(pixels[is_val], labels[is_val]),
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
