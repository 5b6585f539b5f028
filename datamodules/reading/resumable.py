"""Training batches that can resume in the middle of an epoch, with the very next image."""

from collections.abc import Iterator
from time import monotonic
from typing import Any, Protocol

from datamodules.problems import DataError, Training
from datamodules.reading.sampling import EpochSampler


class Batches(Protocol):
    """Batches that follow a sampler, such as those of a `DataLoader`."""

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""

    def __iter__(self) -> Iterator[Any]:
        """Start an epoch."""


class ResumableLoader:
    """An epoch's batches, from the first or from where an interrupted run stopped.

    Order and augmentation depend only on seed and epoch, so that the state consists of two numbers: the epoch
    and the number of batches that were delivered. Resuming needs no replay. The number of workers may differ
    from before, and also the number of processes, as long as all of them together have the same batch size.

    Nothing is read before the first batch is requested, since Lightning creates an iterator before it sets
    the epoch.

    Args:
        batches: Reads what the sampler draws.
        sampler: Determines the order; Lightning sets its epoch.
        batch_size: Number of images in a batch.

    Attributes:
        waited_s: Total time in seconds that was spent waiting for batches.
    """

    def __init__(self, batches: Batches, sampler: EpochSampler, batch_size: int) -> None:
        self.sampler = sampler
        self.waited_s = 0.0
        self._batches, self._batch_size = batches, batch_size
        self._epoch = self._delivered = self._start = 0

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        if self.sampler.epoch != self._epoch:
            self._start = 0
        self._epoch, self._delivered, self._start = self.sampler.epoch, self._start, 0
        self.sampler.start = self._delivered * self._batch_size
        batches = iter(self._batches)
        while (batch := self._wait_for(batches)) is not None:
            self._delivered += 1
            yield batch

    def _wait_for(self, batches: Iterator[Any]) -> Any:
        asked_s = monotonic()
        batch = next(batches, None)
        self.waited_s += monotonic() - asked_s
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and the settings on which the order depends; equal in all processes."""
        return {"epoch": self._epoch, "batches": self._delivered, **self._order()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume after the batches that had been delivered when the state was taken.

        Raises:
            DataError: The number of images, the seed or the total batch size differs from the state.
        """
        for name, now in self._order().items():
            if state[name] != now:
                raise DataError(
                    Training.OTHER_EPOCH, name=name.replace("_", " "), before=state[name], now=now
                )
        self.sampler.set_epoch(state["epoch"])
        self._epoch, self._delivered, self._start = state["epoch"], state["batches"], state["batches"]

    def _order(self) -> dict[str, int]:
        return {
            "images": self.sampler.num_images,
            "seed": self.sampler.seed,
            "batch_size_of_all_devices": self._batch_size * self.sampler.world_size,
        }
