"""From a split and views to the samples of a DataLoader; unreadable images are left out and named."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules import augmentation
from datamodules.augmentation import Augmentation, training_views
from datamodules.errors import DataError
from datamodules.images import Images, Split, StreamedSplit, UnreadableImage
from datamodules.sampling import Draw
from datamodules.views import Chooser

MAX_UNREADABLE_RUN = 64


class Sample(NamedTuple):
    """One image (uint8, S x S x 3), or what stands in for it, and the names of those that cannot be read."""

    pixels: Tensor | None
    label: int
    seed: int
    unreadable: tuple[str, ...]


class Batch(NamedTuple):
    """Images, and what is known of each.

    Attributes:
        images: uint8, N x 3 x S x S, channels last.
        labels: N classes.
        seeds: N seeds that say by what chance an image is augmented; 0 where there is none.
        unreadable: Names of images that could not be read.
    """

    images: Tensor
    labels: Tensor
    seeds: Tensor
    unreadable: tuple[str, ...]


class TrainingImages(Dataset[Sample]):
    """Augmented images; the next readable one takes the place of one that is not, so that batches stay full.

    An augmentation is drawn from the seed in its `Draw`: what an image looks like depends neither on the
    process that reads it nor on the images before it.

    Args:
        split: Where the images are.
        chosen: What is done to them.
        image_size: Side of what comes out.
        can_mirror: Whether to mirror every other image.
    """

    def __init__(self, split: Split, chosen: Augmentation, image_size: int, can_mirror: bool) -> None:
        self.split = split
        self.views = training_views(chosen, image_size, can_mirror)
        self.policy = chosen.policy

    def __getitem__(self, draw: Draw) -> Sample:
        if draw.ahead >= 0 and isinstance(self.split, StreamedSplit):
            self.split.expect(draw.ahead)
        unreadable: list[str] = []
        for index in range(draw.image, draw.image + MAX_UNREADABLE_RUN):
            index %= len(self.split)
            try:
                pixels = self.draw(Draw(index, draw.seed))
            except UnreadableImage as error:
                unreadable.append(str(error))
                continue
            return Sample(pixels, self.split.label(index), draw.seed, tuple(unreadable))
        raise DataError(f"{len(unreadable)} images in a row cannot be read; the first is {unreadable[0]}.")

    def draw(self, draw: Draw) -> Tensor:
        """Returns the image of a draw, but for what is done on the device; raises UnreadableImage."""
        pixels = self.split.view(draw.image, self.views.seeded(draw.seed))
        return self.policy.apply(pixels, draw.seed) if self.policy else pixels


class ValidationImages(Dataset[Sample]):
    """Images without any chance; one that cannot be read is left out, so that it counts for no class."""

    def __init__(self, split: Split, choose: Chooser) -> None:
        self.split = split
        self.choose = choose

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Sample:
        try:
            pixels = self.split.view(index, self.choose)
        except UnreadableImage as error:
            return Sample(None, self.split.label(index), 0, (str(error),))
        return Sample(pixels, self.split.label(index), 0, ())


def collate(samples: Sequence[Sample]) -> Batch:
    """Stacks the samples that have pixels; a batch without any has length 0."""
    readable = [sample for sample in samples if sample.pixels is not None]
    rows = [sample.pixels for sample in readable if sample.pixels is not None] or [torch.empty(1, 1, 3)]
    # Height, width, channel is how decoders lay images out, and what convolutions like best.
    images = torch.stack(rows).permute(0, 3, 1, 2)[: len(readable)]
    return Batch(
        images,
        labels=torch.tensor([sample.label for sample in readable], dtype=torch.int64),
        seeds=torch.tensor([sample.seed for sample in readable], dtype=torch.int64),
        unreadable=tuple(name for sample in samples for name in sample.unreadable),
    )


def show(images: Images, index: int, name: str, image_size: int, seed: int) -> Tensor:
    """Returns one training image as a network would see it.

    Args:
        images: An opened source.
        index: Number of the image in ``images.train``; augmentations that mix take the one before it, too.
        name: Of an augmentation.
        image_size: Side of the result.
        seed: The chance.

    Returns:
        uint8, image_size x image_size x 3.

    Raises:
        ValueError: There is no such augmentation.
        UnreadableImage: An image cannot be decoded.
    """
    chosen = augmentation.get(name)
    dataset = TrainingImages(images.train, chosen, image_size, images.can_mirror)
    indices = [(index - 1) % len(images.train), index] if chosen.mixes else [index]
    samples = [Sample(dataset.draw(Draw(one, seed)), images.train.label(one), seed, ()) for one in indices]
    batch = collate(samples)
    mean = 255 * torch.tensor(images.mean)[:, None, None]
    pixels, _ = chosen.finish(
        batch.images.float(), batch.labels, batch.seeds, lambda pixels: pixels - mean, len(images.class_names)
    )
    return (pixels[-1] + mean).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
