"""Batches of views of a split's images; unreadable images are left out and named."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.damage import Unreadable
from datamodules.images import Chooser, Pixels, Split, as_streamed
from datamodules.pixels.augmentation import Augmentation, training_views
from datamodules.problems import UnreadableImage
from datamodules.reading.sampling import Draw

MAX_UNREADABLE_RUN = 64


class Batch(NamedTuple):
    """Images with labels and seeds.

    Attributes:
        images: uint8, N x 3 x S x S, channels last.
        labels: Classes, N.
        seeds: Seeds of the augmentation, N; 0 in validation.
        unreadable: Images that could not be read.
    """

    images: Tensor
    labels: Tensor
    seeds: Tensor
    unreadable: tuple[Unreadable, ...]


class TrainingImages(Dataset[Batch]):
    """Augmented images; an unreadable image is replaced by the next readable one, so that batches stay full.

    If none of `MAX_UNREADABLE_RUN` successive images can be read, the batch has one image less.

    The augmentation of an image depends only on the seed in its `Draw`, neither on the process that reads it
    nor on the images before it.

    Args:
        split: The images.
        chosen: Augmentation of the images.
        image_size: Side of the views in pixels.
        can_mirror: Whether to mirror images at random.
    """

    def __init__(self, split: Split, chosen: Augmentation, image_size: int, can_mirror: bool) -> None:
        self.split, self.image_size = split, image_size
        self.streamed = as_streamed(split)
        self.views = training_views(chosen, image_size, can_mirror)
        self.policy = chosen.policy

    def __getitem__(self, draws: Sequence[Draw]) -> Batch:
        """Read a batch into new memory."""
        return self.read(draws, empty_images(len(draws), self.image_size))

    def read(self, draws: Sequence[Draw], out: Pixels) -> Batch:
        """Read a batch into uint8, N x S x S x 3."""
        if self.streamed:
            for draw in draws:
                if draw.ahead >= 0:
                    self.streamed.expect(draw.ahead)
        labels: list[int] = []
        seeds: list[int] = []
        unreadable: list[Unreadable] = []
        for draw in draws:
            label = self._fill(draw, out[len(labels)], unreadable)
            if label is not None:
                labels.append(label)
                seeds.append(draw.seed)
        return make_batch(out, labels, seeds, unreadable)

    def draw(self, draw: Draw, out: Pixels) -> None:
        """Write the view of a draw, without the operations on the device. Raises UnreadableImage."""
        self.split.view(draw.image, self.views.seeded(draw.seed), out)
        if self.policy is not None:
            out[:] = self.policy.apply(out, draw.seed)

    def _fill(self, draw: Draw, out: Pixels, unreadable: list[Unreadable]) -> int | None:
        """Write the view of a draw or of its replacement; return the label, or None if all fail."""
        for index in range(draw.image, draw.image + MAX_UNREADABLE_RUN):
            index %= len(self.split)
            try:
                self.draw(draw._replace(image=index), out)
            except UnreadableImage as error:
                unreadable.append(Unreadable("train", str(error)))
            else:
                return self.split.label(index)
        return None


class ValidationImages(Dataset[Batch]):
    """Images without augmentation; unreadable ones are left out and count for no class.

    Args:
        split: The images.
        choose: Chooses the view.
        image_size: Side of the views in pixels.
    """

    def __init__(self, split: Split, choose: Chooser, image_size: int) -> None:
        self.split, self.choose, self.image_size = split, choose, image_size
        self.streamed = as_streamed(split)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        """Read a batch into new memory."""
        return self.read(indices, empty_images(len(indices), self.image_size))

    def read(self, indices: Sequence[int], out: Pixels) -> Batch:
        """Read a batch into uint8, N x S x S x 3; one without any readable image has length 0."""
        if self.streamed and self.streamed.parts and self.streamed.parts.lookahead:
            self.streamed.expect(min(indices[-1] + self.streamed.parts.lookahead, len(self) - 1))
        labels: list[int] = []
        unreadable: list[Unreadable] = []
        for index in indices:
            try:
                self.split.view(index, self.choose, out[len(labels)])
            except UnreadableImage as error:
                unreadable.append(Unreadable("val", str(error)))
            else:
                labels.append(self.split.label(index))
        return make_batch(out, labels, [0] * len(labels), unreadable)


def make_batch(
    images: Pixels, labels: Sequence[int], seeds: Sequence[int], unreadable: Sequence[Unreadable]
) -> Batch:
    """Return a batch of the first images, as many as there are labels."""
    return Batch(
        torch.from_numpy(images[: len(labels)]).permute(0, 3, 1, 2),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(seeds, dtype=torch.int64),
        tuple(unreadable),
    )


def empty_images(count: int, size: int) -> Pixels:
    """Return memory for uint8, N x S x S x 3: the layout of decoders, and the fastest for convolutions."""
    return np.empty((count, size, size, 3), np.uint8)
