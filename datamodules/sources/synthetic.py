"""Random noise in the shape of ImageNet, to measure how fast a network trains."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datamodules.sources import Source

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.images import Chooser, Images, Pixels

NUM_CLASSES = 1000
NUM_DISTINCT = 32
SIDE = 256


@dataclass(frozen=True)
class NoiseSplit:
    """Repeated images: ``length`` images of which only a few are distinct, uint8, 3 x SIDE x SIDE."""

    pixels: "Tensor"
    length: int

    def __len__(self) -> int:
        return self.length

    def label(self, index: int) -> int:
        """Return a class that is unrelated to the image."""
        return index * 7919 % NUM_CLASSES

    def place(self, index: int) -> int:
        """Return the index of an image in `pixels`."""
        return index % len(self.pixels)

    def read(self, index: int) -> "Tensor":
        """Return one image."""
        return self.pixels[self.place(index)]

    def view(self, index: int, choose: "Chooser", out: "Pixels") -> None:
        """Write a view of one image; see `datamodules.pixels.resampling.cut_whole`."""
        from datamodules.pixels.resampling import cut_whole

        cut_whole(self.read(index), choose, out)

    def encoded(self, index: int) -> None:
        """Return None, since there are no files."""

    def digest(self) -> str:
        """Return a digest of the noise and the number of images, which determines the labels."""
        import torch

        from datamodules.manifest import digest_tensors

        return digest_tensors(self.pixels, torch.tensor([self.length, NUM_CLASSES]))


def open_synthetic() -> "Images":
    """Generate the noise."""
    import torch

    from datamodules.images import Images

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (NUM_DISTINCT, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator)
    pixels = pixels.permute(0, 3, 1, 2)
    return Images(
        class_names=tuple(f"class {number}" for number in range(NUM_CLASSES)),
        train=NoiseSplit(pixels, 12_800),
        val=NoiseSplit(pixels, 1_000),
    )


SOURCE = Source(
    key="synthetic",
    title="Synthetic",
    description="Random noise with 1,000 classes, to measure how fast a network trains on this machine; "
    "there is nothing to learn from it.",
    open=open_synthetic,
    order=9,
    in_memory=True,
    threads=True,
)
