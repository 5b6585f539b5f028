"""From a split and a transform to the samples of a DataLoader; unreadable images are left out and named."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.images import Split, UnreadableImage
from datamodules.sampling import Draw

MAX_UNREADABLE_RUN = 64

Transform = Callable[[Tensor], Tensor]


class Sample(NamedTuple):
    """One image, or what stands in for it, and the names of those that could not be read."""

    pixels: Tensor | None
    label: int
    unreadable: tuple[str, ...]


class Batch(NamedTuple):
    """Images N x 3 x S x S in uint8, N labels, and the names of images that could not be read."""

    images: Tensor
    labels: Tensor
    unreadable: tuple[str, ...]


class TrainingImages(Dataset[Sample]):
    """Augmented images; the next readable one takes the place of one that is not, so that batches stay full.

    An augmentation is drawn from the seed in its `Draw`: what an image looks like depends neither on the
    process that reads it nor on the images before it.
    """

    def __init__(self, split: Split, transform: Transform) -> None:
        self.split = split
        self.transform = transform

    def __getitem__(self, draw: Draw) -> Sample:
        unreadable: list[str] = []
        for index in range(draw.image, draw.image + MAX_UNREADABLE_RUN):
            index %= len(self.split)
            try:
                pixels = self.split.read(index)
            except UnreadableImage as error:
                unreadable.append(str(error))
                continue
            with _seeded(draw.seed):
                return Sample(self.transform(pixels), self.split.label(index), tuple(unreadable))
        raise DataError(f"{len(unreadable)} images in a row cannot be read; the first is {unreadable[0]}.")


class ValidationImages(Dataset[Sample]):
    """Images without any chance; one that cannot be read is left out, so that it counts for no class."""

    def __init__(self, split: Split, transform: Transform) -> None:
        self.split = split
        self.transform = transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Sample:
        try:
            pixels = self.split.read(index)
        except UnreadableImage as error:
            return Sample(None, self.split.label(index), (str(error),))
        return Sample(self.transform(pixels), self.split.label(index), ())


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draws from a seed and leaves the process's randomness as it was (`fork_rng`, without its cost)."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stacks the samples that have pixels; a batch without any has length 0."""
    readable = [(sample.pixels, sample.label) for sample in samples if sample.pixels is not None]
    # Height, width, channel is how decoders lay images out, and what convolutions like best.
    rows = [pixels.permute(1, 2, 0) for pixels, _ in readable] or [torch.empty(1, 1, 3)]
    images = torch.stack(rows).permute(0, 3, 1, 2)[: len(readable)]
    labels = torch.tensor([label for _, label in readable], dtype=torch.int64)
    return Batch(images, labels, tuple(name for sample in samples for name in sample.unreadable))
