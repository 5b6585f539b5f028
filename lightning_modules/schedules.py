"""Learning-rate schedules as data: the factor of a recipe's learning rate at each step."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """A constant learning rate."""

    def factor(self, progress: float, epoch: float) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class Step:
    """A schedule that multiplies the learning rate by ``multiplier`` every ``every_epochs`` epochs."""

    every_epochs: int
    multiplier: float

    def factor(self, progress: float, epoch: float) -> float:
        """Return the factor after the completed periods."""
        return self.multiplier ** int(epoch / self.every_epochs)


@dataclass(frozen=True)
class Milestones:
    """A schedule that multiplies the learning rate by ``multiplier`` at certain points of the training.

    Args:
        at: The points as fractions of the whole training, such as 0.5 for its middle.
        multiplier: The factor at each point.
    """

    at: tuple[float, ...]
    multiplier: float

    def factor(self, progress: float, epoch: float) -> float:
        """Return the factor after the points that have passed."""
        return self.multiplier ** sum(progress >= point for point in self.at)


@dataclass(frozen=True)
class Cosine:
    """Cosine annealing to zero."""

    def factor(self, progress: float, epoch: float) -> float:
        """Return 1 at the start and 0 at the end."""
        return _fall(progress)


@dataclass(frozen=True)
class OneCycle:
    """An increase from a small learning rate to the recipe's, then a decrease to zero; both are half cosines.

    From Smith and Topin, "Super-convergence" (2018), without the cycle of the momentum.

    Args:
        rise: Fraction of the training that the increase takes.
        start: First learning rate as a fraction of the recipe's.
    """

    rise: float = 0.3
    start: float = 0.04

    def factor(self, progress: float, epoch: float) -> float:
        """Return ``start`` at the start, 1 after ``rise`` and 0 at the end."""
        if progress < self.rise:
            return 1.0 - (1.0 - self.start) * _fall(progress / self.rise)
        return _fall((progress - self.rise) / (1.0 - self.rise))


@dataclass(frozen=True)
class Plateau:
    """A schedule that multiplies the learning rate when the validation error stops improving.

    Args:
        multiplier: The factor of each reduction.
        patience_epochs: Number of epochs without improvement before a reduction.
        reductions: Largest number of reductions.
        monitor: The monitored metric; lower is better.
    """

    multiplier: float = 0.1
    patience_epochs: int = 5
    reductions: int = 3
    monitor: str = "val/error_top1"


Schedule = Constant | Step | Milestones | Cosine | OneCycle | Plateau


def _fall(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
