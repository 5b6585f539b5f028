"""Images that are small enough to keep all of them in memory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.images import Chooser, Pixels


@dataclass(frozen=True)
class MemorySplit:
    """Images of equal size.

    Attributes:
        pixels: uint8, N x channels x height x width; a single channel is greyscale.
        labels: Class of each image, N.
    """

    pixels: "Tensor"
    labels: "Tensor"

    def __len__(self) -> int:
        return len(self.labels)

    def label(self, index: int) -> int:
        """Return the class of an image."""
        return int(self.labels[index])

    def place(self, index: int) -> int:
        """Return the index of an image in `pixels`."""
        return index

    def read(self, index: int) -> "Tensor":
        """Return one image, 3 x height x width."""
        return self.pixels[index].expand(3, -1, -1)

    def view(self, index: int, choose: "Chooser", out: "Pixels") -> None:
        """Write a view of one image; see `datamodules.pixels.resampling.cut_whole`."""
        from datamodules.pixels.resampling import cut_whole

        cut_whole(self.read(index), choose, out)

    def encoded(self, index: int) -> None:
        """Return None, since there are no files."""

    def digest(self) -> str:
        """Return a digest of all pixels and labels."""
        from datamodules.manifest import digest_tensors

        return digest_tensors(self.pixels, self.labels)
