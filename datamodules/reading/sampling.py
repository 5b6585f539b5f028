"""Which image comes when: decided by seed and epoch alone, whatever the number of processes."""

from collections.abc import Iterable, Iterator, Sized
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Sampler

from datamodules.images import Parts

# Draws that are Python objects at a time: all of ImageNet's at once would take 100 MB.
CHUNK = 4096


class Draw(NamedTuple):
    """One image of an epoch and the seed of its augmentation.

    Attributes:
        image: Its number.
        seed: Of its augmentation.
        ahead: An image that will be needed soon; -1 where that is nobody's concern.
    """

    image: int
    seed: int
    ahead: int = -1


class IndexBatches(Sized, Iterable[Any], Protocol):
    """What draws batches of indices, such as torch's ``BatchSampler``."""


class EpochSampler(Sampler[Draw]):
    """Shuffles anew for every epoch; rank r of n takes each n-th image from the r-th on.

    Taken together, the n-th batches of all ranks hold what one process would have in a batch n times as
    large. What is left over at the end is dropped, so that all ranks take the same number of steps.

    Args:
        num_images: Images of the split.
        seed: Of the run.
        rank: Number of this process.
        world_size: Number of processes.
        parts: What images are fetched in; None for images that are at hand.

    Attributes:
        epoch: Chooses the order.
        start: Images of this process to leave out at the beginning: those an interrupted run has had.
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
        """Choose the order; Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Images of this process in a whole epoch."""
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
        """Return for every image one that comes later, and will have to be fetched by then; or -1."""
        ahead = torch.full_like(order, -1)
        if self.parts is not None and self.parts.lookahead:
            ahead[: -self.parts.lookahead] = order[self.parts.lookahead :]
        return ahead


def shuffle(num_images: int, generator: torch.Generator, parts: Parts | None = None) -> Tensor:
    """Return an order of all images, int64.

    Where they come in parts, these are shuffled, and then every image is put off by up to a window of
    others: at any time few parts are in use, and in time each of them once.
    """
    if parts is None or num_images <= parts.window:
        return torch.randperm(num_images, generator=generator)
    pieces = torch.tensor_split(torch.arange(num_images), parts.ends[:-1].tolist())
    order = torch.cat([pieces[part] for part in torch.randperm(len(pieces), generator=generator).tolist()])
    delays = torch.rand(num_images, generator=generator, dtype=torch.float64) * parts.window
    return order[torch.argsort(torch.arange(num_images) + delays)]


def _mix(seed: int, epoch: int) -> int:
    """Return every pair a seed of its own: seed 0 in epoch 1 must not look like seed 1 in epoch 0."""
    return (seed * 1_000_003 + epoch) % 2**63
