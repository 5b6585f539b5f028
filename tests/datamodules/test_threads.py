"""Threads give batches in order, stop with their reader, and pass on what goes wrong."""

import gc
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from datamodules.problems import DataError
from datamodules.reading.dataset import Batch
from datamodules.reading.thread_loader import PREFETCH, ThreadedLoader


class Numbers:
    """Batches of their own indices; the first takes longest."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __getitem__(self, indices: list[int]) -> Batch:
        if indices[0] == 66:
            raise DataError("66 is damaged.")
        time.sleep(0.05 if indices[0] == 0 else 0.002)
        self.read += indices
        numbers = torch.tensor(indices)
        return Batch(numbers[:, None, None, None].to(torch.uint8), numbers, numbers, ())


class Indices:
    def __init__(self, count: int) -> None:
        self.count, self.drawn = count, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self.count):
            self.drawn += 1
            yield [2 * number, 2 * number + 1]


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_order_is_that_of_the_indices(num_threads: int) -> None:
    loader = ThreadedLoader(Numbers(), Indices(30), num_threads)
    assert len(loader) == 30
    for _ in range(2):
        found: list[Any] = [label for batch in loader for label in batch.labels.tolist()]
        assert found == list(range(60))


def test_readers_leave_the_processor_to_the_training() -> None:
    class Asking(Numbers):
        def __getitem__(self, indices: list[int]) -> Batch:
            return super().__getitem__(indices)._replace(seeds=torch.tensor([torch.get_num_threads()]))

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        batches = list(ThreadedLoader(Asking(), Indices(9), 3))
        assert {batch.seeds.item() for batch in batches} == {1} and torch.get_num_threads() == 2
        seen: list[int] = []
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert seen == [2], "other threads of the training have theirs"
    finally:
        torch.set_num_threads(before)


def test_no_more_is_read_than_soon_needed() -> None:
    indices, dataset = Indices(1000), Numbers()
    batches = iter(ThreadedLoader(dataset, indices, 2))
    next(batches)
    time.sleep(0.2)
    assert indices.drawn <= PREFETCH * 2 + 1
    batches.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("images")]


def test_an_error_comes_where_its_batch_would() -> None:
    batches = iter(ThreadedLoader(Numbers(), Indices(100), 3))
    assert [next(batches).labels[0].item() for _ in range(33)] == list(range(0, 66, 2))
    with pytest.raises(DataError, match=r"66 is damaged\."):
        next(batches)


class Collecting(Numbers):
    """Batches whose reader clears away what nobody refers to any more, as Python does now and then."""

    def __getitem__(self, indices: list[int]) -> Batch:
        gc.collect()
        return super().__getitem__(indices)


def test_one_left_behind_is_cleared_away_by_its_own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    for _ in range(10):
        batches = iter(ThreadedLoader(Collecting(), Indices(30), 2))
        next(batches)
        left_behind: list[object] = [batches]
        left_behind.append(left_behind)
        del batches, left_behind
        time.sleep(0.02)
    assert complaints == []
