"""Backfilling: small jobs may start before a large one that waits for devices, if they do not delay it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

# A job may take this many times as long as expected before it delays the jobs that it has passed.
MARGIN = 1.2


@dataclass(frozen=True)
class ResourceRequest:
    """The devices that a waiting job requests.

    Attributes:
        count: The number of devices.
        takes_s: For how many seconds, None if unknown.
        kind: The kind of devices.
    """

    count: int
    takes_s: float | None
    kind: str


def may_pass(request: ResourceRequest, passed: Sequence[ResourceRequest], free_at: Sequence[float]) -> bool:
    """Return whether a job may start now, before jobs ahead of it that have to wait.

    It may not if the start of one of those jobs cannot be predicted.

    Args:
        request: The request of the job.
        passed: The requests ahead of it for devices of the same kind, in the order of the queue.
        free_at: For each device of that kind, the seconds until it is free; 0 is now, infinity is unknown.
    """
    takes_s = inf if request.takes_s is None else MARGIN * request.takes_s
    free = sorted(free_at)
    if request.count > len(free) or free[request.count - 1] > 0:
        return False
    before = starts(passed, free)
    after = starts(passed, [*free[request.count :], *[takes_s] * request.count])
    return inf not in before and all(late <= early for early, late in zip(before, after, strict=True))


def starts(requests: Sequence[ResourceRequest], free_at: Sequence[float]) -> list[float]:
    """Return in how many seconds each job starts if none passes another; infinity where that is unknown."""
    free, now_s, found = sorted(free_at), 0.0, []
    for request in requests:
        now_s = max(now_s, free[request.count - 1]) if request.count <= len(free) else inf
        found.append(now_s)
        ends_s = inf if request.takes_s is None else now_s + request.takes_s
        free = sorted([*free[request.count :], *[ends_s] * min(request.count, len(free))])
    return found
