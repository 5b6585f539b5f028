"""The order of the images, which depends only on seed and epoch, not on the number of processes."""

from collections.abc import Iterable, Iterator, Sized
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Sampler

from datamodules.images import Parts

# Number of draws that exist as Python objects at a time: all of ImageNet's would take 100 MB.
CHUNK = 4096


class Draw(NamedTuple):
    """One image of an epoch and the seed of its augmentation.

    Attributes:
        image: Index of the image.
        seed: Seed of its augmentation.
        ahead: Index of an image that will be needed soon; -1 if nothing has to be downloaded.
    """

    image: int
    seed: int
    ahead: int = -1


class IndexBatches(Sized, Iterable[Any], Protocol):
    """Batches of indices, such as those of torch's ``BatchSampler``."""


class EpochSampler(Sampler[Draw]):
    """Sampler with a new order in every epoch; rank r of n takes every n-th image, starting with the r-th.

    Together, the batches of n ranks in a step hold the same images as one process with an n times larger
    batch size. Remaining images at the end are dropped, so that all ranks take the same number of steps.

    Args:
        num_images: Number of images in the split.
        seed: Seed of the run.
        rank: Rank of this process.
        world_size: Number of processes.
        parts: Parts in which images are downloaded; None if all images are on this machine.

    Attributes:
        epoch: The epoch, which determines the order.
        start: Number of images of this process to skip at the beginning, after an interruption.
    """

    def __init__(
        self,
        num_images: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        parts: Parts | None = None,
    ) -> None:
        self.num_images, self.seed, self.rank, self.world_size = num_images, seed, rank, world_size
        self.parts = parts
        self.epoch = self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of images of this process in a whole epoch."""
        return self.num_images // self.world_size

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(_mix(self.seed, self.epoch))
        order = shuffle(self.num_images, generator, self.parts)
        seeds = torch.randint(2**62, (self.num_images,), generator=generator)
        mine = slice(self.rank + self.start * self.world_size, len(self) * self.world_size, self.world_size)
        ahead = self._look_ahead(order)[mine]
        order, seeds = order[mine], seeds[mine]
        for first in range(0, len(order), CHUNK):
            chunk = slice(first, first + CHUNK)
            yield from map(Draw, order[chunk].tolist(), seeds[chunk].tolist(), ahead[chunk].tolist())

    def _look_ahead(self, order: Tensor) -> Tensor:
        """Return for every image a later one, which should be downloaded in advance; or -1."""
        ahead = torch.full_like(order, -1)
        if self.parts is not None and self.parts.lookahead:
            ahead[: -self.parts.lookahead] = order[self.parts.lookahead :]
        return ahead


def shuffle(num_images: int, generator: torch.Generator, parts: Parts | None = None) -> Tensor:
    """Return an order of all images, int64.

    If images come in parts, the parts are shuffled, and then every image is delayed by at most a window of
    others: only a few parts are in use at a time, and each of them is used once.
    """
    if parts is None or num_images <= parts.window:
        return torch.randperm(num_images, generator=generator)
    pieces = torch.tensor_split(torch.arange(num_images), parts.ends[:-1].tolist())
    order = torch.cat([pieces[part] for part in torch.randperm(len(pieces), generator=generator).tolist()])
    delays = torch.rand(num_images, generator=generator, dtype=torch.float64) * parts.window
    return order[torch.argsort(torch.arange(num_images) + delays)]


def _mix(seed: int, epoch: int) -> int:
    """Return a different seed for every pair: seed 0 in epoch 1 must differ from seed 1 in epoch 0."""
    return (seed * 1_000_003 + epoch) % 2**63
