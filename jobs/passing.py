"""Small jobs pass a big one that waits for its devices, if that delays nobody who is passed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

# How much longer than expected a job may take before it delays whom it has passed.
MARGIN = 1.2


@dataclass(frozen=True)
class Wish:
    """What a waiting job asks for.

    Attributes:
        count: Devices.
        takes_s: Seconds it will have them, None when that cannot be told.
    """

    count: int
    takes_s: float | None


def may_pass(wish: Wish, passed: Sequence[Wish], free_at: Sequence[float]) -> bool:
    """Whether a job may start now, before others that came first and have to wait.

    Where it cannot be told when one of them would start, nobody passes it.

    Args:
        wish: Of the job.
        passed: Of those before it, in their order.
        free_at: For each device, in how many seconds it is free; 0 is now, infinite is unknown.
    """
    takes_s = inf if wish.takes_s is None else MARGIN * wish.takes_s
    free = sorted(free_at)
    if wish.count > len(free) or free[wish.count - 1] > 0:
        return False
    before = starts(passed, free)
    after = starts(passed, [*free[wish.count :], *[takes_s] * wish.count])
    return inf not in before and all(late <= early for early, late in zip(before, after, strict=True))


def starts(wishes: Sequence[Wish], free_at: Sequence[float]) -> list[float]:
    """When jobs start of which none passes another, in seconds; infinite where that cannot be told."""
    free, now_s, found = sorted(free_at), 0.0, []
    for wish in wishes:
        now_s = max(now_s, free[wish.count - 1]) if wish.count <= len(free) else inf
        found.append(now_s)
        ends_s = inf if wish.takes_s is None else now_s + wish.takes_s
        free = sorted([*free[wish.count :], *[ends_s] * min(wish.count, len(free))])
    return found
