"""Training batches that go on in the middle of an epoch, with the very next image."""

from collections.abc import Iterator
from time import monotonic
from typing import Any, Protocol

from datamodules.problems import DataError, Training
from datamodules.reading.sampling import EpochSampler


class Batches(Protocol):
    """The batches of what a sampler draws, such as a `DataLoader` gives them."""

    def __len__(self) -> int:
        """Batches of a whole epoch."""

    def __iter__(self) -> Iterator[Any]:
        """Draw anew."""


class ResumableLoader:
    """An epoch's batches, from the first or from where an interrupted run stopped.

    Order and augmentation depend on seed and epoch alone, so that a place in them is two numbers: the epoch
    and the batches of it that were delivered. Going on needs no replay, and neither the number of workers
    nor, as long as all processes together take as many images at once, that of the processes has to be the
    same as before.

    Nothing is read before the first batch is asked for: Lightning makes an iterator before it says which
    epoch it is.

    Args:
        batches: What reads the sampler's draws.
        sampler: Decides on the order; Lightning tells it the epoch.
        batch_size: Images of one of these batches.

    Attributes:
        waited_s: Seconds for which whoever asked for a batch had to wait for it, in all.
    """

    def __init__(self, batches: Batches, sampler: EpochSampler, batch_size: int) -> None:
        self.sampler = sampler
        self.waited_s = 0.0
        self._batches, self._batch_size = batches, batch_size
        self._epoch = self._delivered = self._start = 0

    def __len__(self) -> int:
        """Batches of a whole epoch."""
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
        """Return the place, and what it has no meaning without; the same for every process."""
        return {"epoch": self._epoch, "batches": self._delivered, **self._order()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the batches that were delivered when the state was taken.

        Raises:
            DataError: The images, the seed or the images a step are not those of the state.
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
