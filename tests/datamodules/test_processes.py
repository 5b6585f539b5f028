"""Processes give batches in order through memory that is used again, and never while somebody has it."""

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from datamodules.damage import Unreadable
from datamodules.images import Pixels
from datamodules.problems import DataError
from datamodules.reading.dataset import Batch, empty_images, make_batch
from datamodules.reading.process_loader import HELD, PREFETCH, ProcessLoader

SIDE = 8


class Numbers:
    """Images of one colour, that of their index; of one in ten there is nothing to be read."""

    image_size = SIDE

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        return self.read(indices, empty_images(len(indices), SIDE))

    def read(self, indices: Sequence[int], out: Pixels) -> Batch:
        if 66 in indices:
            raise DataError("66 is damaged.")
        readable = [index for index in indices if index % 10]
        for place, index in enumerate(readable):
            out[place] = index
        missing = [Unreadable("train", str(index)) for index in indices if index not in readable]
        return make_batch(out, readable, [os.getpid()] * len(readable), missing)


class Pairs:
    """Batches of two, the last one of a single image."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return (self.count + 1) // 2

    def __iter__(self) -> Any:
        for first in range(0, self.count, 2):
            yield list(range(first, min(first + 2, self.count)))


def load(count: int, num_processes: int = 2) -> ProcessLoader:
    return ProcessLoader(Numbers(), Pairs(count), 2, num_processes, pin_memory=False)


def is_whole(batch: Batch) -> bool:
    """Tells whether every pixel is that of its label."""
    expected = batch.labels.to(torch.uint8)[:, None, None, None].expand(-1, 3, SIDE, SIDE)
    return torch.equal(batch.images, expected)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_order_is_that_of_the_indices(num_processes: int) -> None:
    loader = load(65, num_processes)
    assert len(loader) == 33
    readers = set()
    for _ in range(2):
        batches = []
        for batch in loader:
            assert is_whole(batch) and batch.images.is_contiguous(memory_format=torch.channels_last)
            batches.append((batch.labels.tolist(), [image.name for image in batch.unreadable]))
            readers |= set(batch.seeds.tolist())
        pairs = list(Pairs(65))
        assert [labels for labels, _ in batches] == [
            [index for index in pair if index % 10] for pair in pairs
        ]
        assert [names for _, names in batches] == [
            [str(one) for one in pair if one % 10 == 0] for pair in pairs
        ]
    assert len(readers) == num_processes and os.getpid() not in readers, "the same ones for every epoch"


def test_memory_is_used_again() -> None:
    places = {batch.images.data_ptr() for batch in load(66)}
    assert len(places) <= PREFETCH * 2 + HELD


def test_a_batch_that_somebody_has_stays_as_it_is() -> None:
    loader = load(66)
    kept = list(loader)
    assert len(kept) > PREFETCH * 2 + HELD and all(map(is_whole, kept))
    views: list[tuple[Tensor, int]] = [(batch.images[-1, 0], int(batch.labels[-1])) for batch in kept]
    del kept
    for _ in range(3):
        list(loader)
    assert all((view == value).all() for view, value in views), "a view of one image keeps it, too"


def test_an_epoch_that_was_left_costs_no_memory() -> None:
    loader = load(66)
    places = set()
    for _ in range(20):
        for batch in loader:
            places.add(batch.images.data_ptr())
            break
    assert len(places) <= PREFETCH * 2 + HELD
    del batch
    last = list(loader)
    assert len(last) == 33 and all(map(is_whole, last))


def test_an_error_comes_where_its_batch_would() -> None:
    batches = iter(load(100))
    assert [next(batches).labels[-1].item() for _ in range(33)] == list(range(1, 66, 2))
    with pytest.raises(DataError, match=r"66 is damaged\."):
        next(batches)


def test_without_shared_memory_batches_have_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    loader = load(65)
    monkeypatch.undo()
    batches = list(loader)
    assert len(batches) == 33 and all(map(is_whole, batches))


def test_what_a_gpu_fetches_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    # PyTorch's own thread calls this where there is a GPU; here the batches are taken from under its hands.
    monkeypatch.setattr(Tensor, "pin_memory", Tensor.clone)
    loader = load(66)
    copies = [read.pin_memory() for read in loader._batches]
    list(loader)
    assert len(copies) == 33 and all(map(is_whole, copies))


def test_processes_end_with_their_loader() -> None:
    loader = load(66)
    next(iter(loader))
    readers = psutil.Process().children()
    assert len(readers) >= 2
    del loader
    gc.collect()
    _, left = psutil.wait_procs(readers, timeout=10)
    assert not left
