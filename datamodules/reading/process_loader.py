"""Batches read by processes straight into memory that all of them share, taken once and used again.

It pays where several read at once: threads would wait for each other to get Python's lock. What a process
sends is where in that memory the images are, and a few numbers of each; as tensors of their own, the images
of every batch would take new memory, which the system has to clear first.
"""

import atexit
import mmap
import multiprocessing
import os
import signal
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.damage import Unreadable
from datamodules.images import Pixels
from datamodules.reading.dataset import Batch
from datamodules.reading.sampling import IndexBatches
from datamodules.reading.thread_loader import Batched

# Others would have to be told the whole list of images, and get no memory to share from us.
CAN_FORK = sys.platform == "linux"
# Batches in work or done, for each process.
PREFETCH = 2
# Batches that whoever trains may hold at a time: the one that it is given, and the one before.
HELD = 2


class Readable(Batched, Protocol):
    """What can also read a batch into memory that is there already."""

    image_size: int

    def read(self, indices: Any, out: Pixels) -> Batch:
        """Read a batch into uint8, N x S x S x 3."""


def memory_bytes(batch_size: int, image_size: int, num_processes: int, pin_memory: bool) -> int:
    """Return the main memory that one loader's batches take; training has one loader, and validation.

    PyTorch keeps pinned memory in sizes that are powers of two.
    """
    batch_bytes = batch_size * image_size * image_size * 3
    pinned_bytes = 1 << (batch_bytes - 1).bit_length() if pin_memory else 0
    return (PREFETCH * num_processes + HELD) * (batch_bytes + pinned_bytes)


def load_in_processes(
    dataset: Any, drawn: IndexBatches, num_processes: int, pin_memory: bool
) -> DataLoader[Any]:
    """Return PyTorch's loader as training uses it.

    Args:
        dataset: Reads whole batches.
        drawn: What is in each.
        num_processes: That read; 0 reads in this one, when a batch is asked for.
        pin_memory: Whether to put batches where a GPU can fetch them by itself; a thread does it.
    """
    settings: dict[str, Any] = {
        "sampler": drawn,
        "batch_size": None,
        "pin_memory": pin_memory,
        # Of its own, so that loading uses up none of the randomness that dropout draws from.
        "generator": torch.Generator(),
    }
    if not num_processes:
        return DataLoader(dataset, **settings)
    # A cluster signals all processes of a job, and without its readers the training could not save.
    must_stay = "SLURM_JOB_ID" in os.environ
    if must_stay:
        atexit.register(_end_processes)
    return DataLoader(
        dataset,
        num_workers=num_processes,
        persistent_workers=True,
        prefetch_factor=PREFETCH,
        worker_init_fn=_stay if must_stay else None,
        multiprocessing_context="fork" if CAN_FORK else None,
        **settings,
    )


class ProcessLoader:
    """Batches in the order of their indices, each read by one of some processes.

    Those start with the first batch and stay until the loader is gone. Someone who holds more batches than is
    usual gets the rest in memory of their own.

    Args:
        dataset: Reads batches.
        indices: Draws what is in each batch.
        batch_size: The most images of a batch.
        num_processes: How many batches are read at once.
        pin_memory: Whether to put batches where a GPU can fetch them by itself; a thread does it.
    """

    def __init__(
        self, dataset: Readable, indices: IndexBatches, batch_size: int, num_processes: int, pin_memory: bool
    ) -> None:
        self.dataset = dataset
        number = PREFETCH * num_processes + HELD if CAN_FORK else 0
        slots = Slots(number, (batch_size, dataset.image_size, dataset.image_size, 3))
        self._batches = load_in_processes(
            _Reader(dataset, slots), _Draws(indices, slots), num_processes, pin_memory
        )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        for read in self._batches:
            yield read.batch() if isinstance(read, _Read) else read


class Slots:
    """Places for batches in memory that this process shares with those that it forks from now on.

    Args:
        number: Of places.
        shape: Of each, uint8.
    """

    # PyTorch's thread that pins memory has nothing but what a process has sent.
    _known: "weakref.WeakValueDictionary[int, Slots]" = weakref.WeakValueDictionary()
    _numbers = count()

    def __init__(self, number: int, shape: tuple[int, ...]) -> None:
        # Anonymous memory: what a container allows in /dev/shm, often 64 MB, is no limit to it.
        size_bytes = number * prod(shape)
        memory = mmap.mmap(-1, max(1, size_bytes))
        self.pixels: Pixels = np.frombuffer(memory, np.uint8, size_bytes).reshape(number, *shape)
        self._free: deque[int] = deque()
        self._lent: set[int] = set()
        self.key = next(self._numbers)
        self._known[self.key] = self

    @classmethod
    def find(cls, key: int) -> "Slots":
        """Return those of a key, which is the same in all processes."""
        return cls._known[key]

    def reset(self) -> None:
        """Free all places but those whose batches somebody has."""
        self._free = deque(slot for slot in range(len(self.pixels)) if slot not in self._lent)

    def take(self) -> int | None:
        """Return a free place; None if there is none."""
        return self._free.popleft() if self._free else None

    def lend(self, slot: int, number: int) -> Tensor:
        """Return the first images of a place, which is free once nothing refers to them any more."""
        images = self.pixels[slot, :number]
        self._lent.add(slot)
        weakref.finalize(images, self._give_back, slot).atexit = False
        return torch.from_numpy(images)

    def _give_back(self, slot: int) -> None:
        self._lent.discard(slot)
        self._free.append(slot)


@dataclass
class _Read:
    """What a process tells of a batch that it has read."""

    slots: int
    slot: int
    labels: NDArray[np.int64]
    seeds: NDArray[np.int64]
    unreadable: tuple[Unreadable, ...]

    def batch(self) -> Batch:
        images = Slots.find(self.slots).lend(self.slot, len(self.labels))
        labels, seeds = torch.from_numpy(self.labels), torch.from_numpy(self.seeds)
        return Batch(images.permute(0, 3, 1, 2), labels, seeds, self.unreadable)

    def pin_memory(self) -> Batch:
        """Return a copy; the thread of PyTorch's that pins memory calls this."""
        images, labels, seeds, unreadable = self.batch()
        return Batch(images.pin_memory(), labels.pin_memory(), seeds.pin_memory(), unreadable)


class _Reader(Dataset[Any]):
    """Reads a batch into its place, in another process."""

    def __init__(self, dataset: Readable, slots: Slots) -> None:
        self.dataset, self.slots = dataset, slots

    def __getitem__(self, drawn: tuple[int | None, Any]) -> _Read | Batch:
        slot, indices = drawn
        if slot is None:
            return self.dataset[indices]
        batch = self.dataset.read(indices, self.slots.pixels[slot, : len(indices)])
        return _Read(self.slots.key, slot, batch.labels.numpy(), batch.seeds.numpy(), batch.unreadable)


class _Draws:
    """Gives each batch its place."""

    def __init__(self, indices: IndexBatches, slots: Slots) -> None:
        self.indices, self.slots = indices, slots

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[int | None, Any]]:
        self.slots.reset()  # PyTorch waits until its processes have ended what was drawn before
        for indices in self.indices:
            yield self.slots.take(), indices


def _stay(worker: int) -> None:
    """Leave the answer to SIGTERM to the process that trains, which ends its workers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end_processes() -> None:
    """End processes that ignore the SIGTERM by which Python ends them when it leaves, and waits for ever."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch would call it an accident
    for worker in multiprocessing.active_children():
        worker.kill()
