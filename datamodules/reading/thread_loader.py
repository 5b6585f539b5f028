"""Batches read by threads of this process: nothing is copied between processes, and nothing has to start.

It pays where the work is done outside of Python's interpreter, such as in decoders and resampling.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol

import torch
from threadpoolctl import threadpool_limits

from datamodules.reading.dataset import Batch
from datamodules.reading.sampling import IndexBatches

THREADS = "images"
# Batches in work or done, for each thread.
PREFETCH = 2


class Batched(Protocol):
    """What reads a batch at once."""

    def __getitem__(self, indices: Any) -> Batch:
        """Read it."""


class ThreadedLoader:
    """Batches in the order of their indices, each read by one of some threads.

    Args:
        dataset: Reads batches; safe to use from several threads.
        indices: Draws what is in each batch.
        num_threads: How many batches are read at once.
    """

    def __init__(self, dataset: Batched, indices: IndexBatches, num_threads: int) -> None:
        self.dataset, self.indices, self.num_threads = dataset, indices, num_threads

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(self.num_threads, THREADS, initializer=_work_alone)
        try:
            drawn, read = iter(self.indices), self.dataset.__getitem__
            ahead: deque[Future[Batch]] = deque(
                pool.submit(read, some) for some in islice(drawn, PREFETCH * self.num_threads)
            )
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(pool.submit(read, some) for some in islice(drawn, 1))
                yield batch
        finally:
            # An iterator that was left behind may be collected in one of its own threads, which cannot wait
            # for itself.
            is_own = threading.current_thread().name.startswith(THREADS)
            pool.shutdown(wait=not is_own, cancel_futures=True)


def _work_alone() -> None:
    """Keep torch's operations within the thread that calls this, as its loader does in its processes.

    Each would else gather threads of its own for every copy, to wait for each other. `set_num_threads` would
    tell those of the training, too.
    """
    torch.get_num_threads()  # sets up what is limited next
    threadpool_limits(1, user_api="openmp")
