"""Learning-rate schedules: what multiplies a recipe's learning rate, and when."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """The same learning rate throughout."""

    def factor(self, progress: float, epoch: float) -> float:
        """Returns 1."""
        return 1.0


@dataclass(frozen=True)
class Step:
    """Multiplies the learning rate by ``multiplier`` every so many epochs."""

    every_epochs: int
    multiplier: float

    def factor(self, progress: float, epoch: float) -> float:
        """Returns what the completed periods amount to."""
        return self.multiplier ** int(epoch / self.every_epochs)


@dataclass(frozen=True)
class Milestones:
    """Multiplies the learning rate by ``multiplier`` at some points of the training.

    Args:
        at: The points, as shares of the whole training, such as 0.5 for its middle.
        multiplier: What the learning rate is multiplied by at each.
    """

    at: tuple[float, ...]
    multiplier: float

    def factor(self, progress: float, epoch: float) -> float:
        """Returns what the points that lie behind amount to."""
        return self.multiplier ** sum(progress >= point for point in self.at)


@dataclass(frozen=True)
class Cosine:
    """Falls to zero along half a cosine."""

    def factor(self, progress: float, epoch: float) -> float:
        """Returns 1 at the start and 0 at the end."""
        return _fall(progress)


@dataclass(frozen=True)
class OneCycle:
    """Rises from a small learning rate to the recipe's and falls to zero, both along half a cosine.

    Args:
        rise: Share of the training spent rising.
        start: First learning rate as a share of the recipe's.

    After Smith and Topin, "Super-convergence" (2018), without the cycle of the momentum.
    """

    rise: float = 0.3
    start: float = 0.04

    def factor(self, progress: float, epoch: float) -> float:
        """Returns ``start`` at the start, 1 after ``rise`` and 0 at the end."""
        if progress < self.rise:
            return 1.0 - (1.0 - self.start) * _fall(progress / self.rise)
        return _fall((progress - self.rise) / (1.0 - self.rise))


@dataclass(frozen=True)
class Plateau:
    """Multiplies the learning rate when the validation error no longer falls.

    Args:
        multiplier: What the learning rate is multiplied by.
        patience_epochs: Epochs without improvement to wait for.
        reductions: How often at most.
        monitor: The metric looked at; lower is better.
    """

    multiplier: float = 0.1
    patience_epochs: int = 5
    reductions: int = 3
    monitor: str = "val/error_top1"


Schedule = Constant | Step | Milestones | Cosine | OneCycle | Plateau


def _fall(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
