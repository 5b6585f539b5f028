"""Images that are small enough to lie in memory all together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.images import Chooser, Pixels


@dataclass(frozen=True)
class MemorySplit:
    """Images of one size.

    Attributes:
        pixels: uint8, N x channels x height x width; one channel is grey.
        labels: N classes.
    """

    pixels: "Tensor"
    labels: "Tensor"

    def __len__(self) -> int:
        return len(self.labels)

    def label(self, index: int) -> int:
        """Returns the class of an image."""
        return int(self.labels[index])

    def place(self, index: int) -> int:
        """Returns where among the pixels an image is."""
        return index

    def read(self, index: int) -> "Tensor":
        """Returns one image, 3 x height x width."""
        return self.pixels[index].expand(3, -1, -1)

    def view(self, index: int, choose: "Chooser", out: "Pixels") -> None:
        """Writes a part of one; see `datamodules.pixels.resampling.cut_whole`."""
        from datamodules.pixels.resampling import cut_whole

        cut_whole(self.read(index), choose, out)

    def encoded(self, index: int) -> None:
        """Returns None: there are pixels alone."""

    def digest(self) -> str:
        """Covers every pixel and label."""
        from datamodules.manifest import digest_tensors

        return digest_tensors(self.pixels, self.labels)
