"""Batches read by processes directly into shared memory, which is allocated once and reused.

This is efficient with several readers: threads would wait for each other because of Python's global lock. A
process sends the position of the images in that memory, and a few numbers for each of them. Sent as tensors,
the images of every batch would need new memory, which the system has to clear first.
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

# Processes that are not forked would need a copy of the list of images, and would not share this memory.
CAN_FORK = sys.platform == "linux"
# Batches in advance, for each process.
PREFETCH = 2
# Batches that the training may hold at a time: the current one and the one before.
HELD = 2


class Readable(Batched, Protocol):
    """A data set that can also read a batch into existing memory."""

    image_size: int

    def read(self, indices: Any, out: Pixels) -> Batch:
        """Read a batch into uint8, N x S x S x 3."""


def memory_bytes(batch_size: int, image_size: int, num_processes: int, pin_memory: bool) -> int:
    """Return the main memory for the batches of one loader; training and validation have one each.

    PyTorch rounds pinned memory up to powers of two.
    """
    batch_bytes = batch_size * image_size * image_size * 3
    pinned_bytes = 1 << (batch_bytes - 1).bit_length() if pin_memory else 0
    return (PREFETCH * num_processes + HELD) * (batch_bytes + pinned_bytes)


def load_in_processes(
    dataset: Any, drawn: IndexBatches, num_processes: int, pin_memory: bool
) -> DataLoader[Any]:
    """Return a DataLoader with the settings for training.

    Args:
        dataset: Reads whole batches.
        drawn: The indices of each batch.
        num_processes: Number of processes that read; with 0, this process reads a batch when it is requested.
        pin_memory: Whether to copy batches to pinned memory, in a thread.
    """
    settings: dict[str, Any] = {
        "sampler": drawn,
        "batch_size": None,
        "pin_memory": pin_memory,
        # A separate generator, so that loading does not change the random numbers of dropout.
        "generator": torch.Generator(),
    }
    if not num_processes:
        return DataLoader(dataset, **settings)
    # A cluster signals all processes of a job, but without its workers the training could not save.
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
    """Batches in the order of their indices, each read by one of several processes.

    The processes start with the first batch and exist as long as the loader. If more batches are held than
    expected, further ones are allocated in new memory.

    Args:
        dataset: Reads batches.
        indices: The indices of each batch.
        batch_size: Largest number of images in a batch.
        num_processes: Number of batches that are read at a time.
        pin_memory: Whether to copy batches to pinned memory, in a thread.
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
    """Slots for batches in memory that this process shares with those that it forks later.

    Args:
        number: Number of slots.
        shape: Shape of each slot, uint8.
    """

    # PyTorch's thread that pins memory has only the object that a process has sent.
    _known: "weakref.WeakValueDictionary[int, Slots]" = weakref.WeakValueDictionary()
    _numbers = count()

    def __init__(self, number: int, shape: tuple[int, ...]) -> None:
        # Anonymous memory is not limited by the size of /dev/shm, which is often 64 MB in containers.
        size_bytes = number * prod(shape)
        memory = mmap.mmap(-1, max(1, size_bytes))
        self.pixels: Pixels = np.frombuffer(memory, np.uint8, size_bytes).reshape(number, *shape)
        self._free: deque[int] = deque()
        self._lent: set[int] = set()
        self.key = next(self._numbers)
        self._known[self.key] = self

    @classmethod
    def find(cls, key: int) -> "Slots":
        """Return the slots of a key, which is the same in all processes."""
        return cls._known[key]

    def reset(self) -> None:
        """Free all slots except those whose batches are still in use."""
        self._free = deque(slot for slot in range(len(self.pixels)) if slot not in self._lent)

    def take(self) -> int | None:
        """Return a free slot; None if there is none."""
        return self._free.popleft() if self._free else None

    def lend(self, slot: int, number: int) -> Tensor:
        """Return the first images of a slot, which becomes free when nothing refers to them any more."""
        images = self.pixels[slot, :number]
        self._lent.add(slot)
        weakref.finalize(images, self._give_back, slot).atexit = False
        return torch.from_numpy(images)

    def _give_back(self, slot: int) -> None:
        self._lent.discard(slot)
        self._free.append(slot)


@dataclass
class _Read:
    """The message of a process about a batch that it has read."""

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
        """Return a copy in pinned memory; called by PyTorch's thread that pins memory."""
        images, labels, seeds, unreadable = self.batch()
        return Batch(images.pin_memory(), labels.pin_memory(), seeds.pin_memory(), unreadable)


class _Reader(Dataset[Any]):
    """Reads a batch into its slot, in another process."""

    def __init__(self, dataset: Readable, slots: Slots) -> None:
        self.dataset, self.slots = dataset, slots

    def __getitem__(self, drawn: tuple[int | None, Any]) -> _Read | Batch:
        slot, indices = drawn
        if slot is None:
            return self.dataset[indices]
        batch = self.dataset.read(indices, self.slots.pixels[slot, : len(indices)])
        return _Read(self.slots.key, slot, batch.labels.numpy(), batch.seeds.numpy(), batch.unreadable)


class _Draws:
    """Assigns a slot to each batch."""

    def __init__(self, indices: IndexBatches, slots: Slots) -> None:
        self.indices, self.slots = indices, slots

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[int | None, Any]]:
        self.slots.reset()  # PyTorch waits until its processes have finished the earlier batches
        for indices in self.indices:
            yield self.slots.take(), indices


def _stay(worker: int) -> None:
    """Ignore SIGTERM: the process that trains handles it, and ends its workers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end_processes() -> None:
    """Kill the workers, which ignore the SIGTERM that Python sends at exit before it waits for them."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch would report the death of a worker
    for worker in multiprocessing.active_children():
        worker.kill()
