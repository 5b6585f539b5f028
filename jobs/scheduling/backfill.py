"""Small jobs pass a big one that waits for its devices, if that delays nobody who is passed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

# How much longer than expected a job may take before it delays whom it has passed.
MARGIN = 1.2


@dataclass(frozen=True)
class ResourceRequest:
    """What a waiting job asks for.

    Attributes:
        count: Devices.
        takes_s: Seconds it will have them, None when that cannot be told.
        kind: Of the devices.
    """

    count: int
    takes_s: float | None
    kind: str


def may_pass(request: ResourceRequest, passed: Sequence[ResourceRequest], free_at: Sequence[float]) -> bool:
    """Whether a job may start now, before others that came first and have to wait.

    Where it cannot be told when one of them would start, nobody passes it.

    Args:
        request: Of the job.
        passed: Of those before it that ask for devices of the same kind, in their order.
        free_at: For each device of that kind, in how many seconds it is free; 0 is now, infinite is unknown.
    """
    takes_s = inf if request.takes_s is None else MARGIN * request.takes_s
    free = sorted(free_at)
    if request.count > len(free) or free[request.count - 1] > 0:
        return False
    before = starts(passed, free)
    after = starts(passed, [*free[request.count :], *[takes_s] * request.count])
    return inf not in before and all(late <= early for early, late in zip(before, after, strict=True))


def starts(requests: Sequence[ResourceRequest], free_at: Sequence[float]) -> list[float]:
    """When jobs start of which none passes another, in seconds; infinite where that cannot be told."""
    free, now_s, found = sorted(free_at), 0.0, []
    for request in requests:
        now_s = max(now_s, free[request.count - 1]) if request.count <= len(free) else inf
        found.append(now_s)
        ends_s = inf if request.takes_s is None else now_s + request.takes_s
        free = sorted([*free[request.count :], *[ends_s] * min(request.count, len(free))])
    return found
