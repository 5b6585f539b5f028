"""Batches read by threads of this process: nothing is copied between processes, and no process has to start.

This is efficient if the work is done outside of Python's interpreter, such as in decoders and resampling.
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
# Batches in advance, for each thread.
PREFETCH = 2


class Batched(Protocol):
    """A data set that reads whole batches."""

    def __getitem__(self, indices: Any) -> Batch:
        """Read a batch."""


class ThreadedLoader:
    """Batches in the order of their indices, each read by one of several threads.

    Args:
        dataset: Reads batches; thread-safe.
        indices: The indices of each batch.
        num_threads: Number of batches that are read at a time.
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
            # An abandoned iterator may be garbage-collected in one of its own threads, which cannot wait for
            # itself.
            is_own = threading.current_thread().name.startswith(THREADS)
            pool.shutdown(wait=not is_own, cancel_futures=True)


def _work_alone() -> None:
    """Limit torch's operations to the calling thread, as DataLoader does in its workers.

    Otherwise each thread would start more threads for every copy. `set_num_threads` would also limit the
    threads of the training.
    """
    torch.get_num_threads()  # initialises the library that is limited next
    threadpool_limits(1, user_api="openmp")
