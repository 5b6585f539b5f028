"""Which image comes when: decided by seed and epoch alone, whatever the number of processes."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

# Draws that are Python objects at a time: all of ImageNet's at once would take 100 MB.
CHUNK = 4096


class Draw(NamedTuple):
    """One image of an epoch and the seed of its augmentation."""

    image: int
    seed: int


class EpochSampler(Sampler[Draw]):
    """Shuffles anew for every epoch; rank r of n takes each n-th image from the r-th on.

    Taken together, the n-th batches of all ranks hold what one process would have in a batch n times as
    large. What is left over at the end is dropped, so that all ranks take the same number of steps.

    Args:
        num_images: Images of the split.
        seed: Of the run.
        rank: Number of this process.
        world_size: Number of processes.

    Attributes:
        epoch: Chooses the order.
        start: Images of this process to leave out at the beginning: those an interrupted run has had.
    """

    def __init__(self, num_images: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.num_images, self.seed, self.rank, self.world_size = num_images, seed, rank, world_size
        self.epoch = self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order; Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Images of this process in a whole epoch."""
        return self.num_images // self.world_size

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(_mix(self.seed, self.epoch))
        order = torch.randperm(self.num_images, generator=generator)
        seeds = torch.randint(2**62, (self.num_images,), generator=generator)
        mine = slice(self.rank + self.start * self.world_size, len(self) * self.world_size, self.world_size)
        order, seeds = order[mine], seeds[mine]
        for first in range(0, len(order), CHUNK):
            chunk = slice(first, first + CHUNK)
            yield from map(Draw, order[chunk].tolist(), seeds[chunk].tolist())


def _mix(seed: int, epoch: int) -> int:
    """Gives every pair a seed of its own: seed 0 in epoch 1 must not look like seed 1 in epoch 0."""
    return (seed * 1_000_003 + epoch) % 2**63
