"""When waiting jobs will start and end, from what the same training took on this machine before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from jobs.engines.local import count_slots, slots_of
from jobs.errors import LaunchError
from jobs.queue import AFTER, is_held
from tracking.runs import Run

# What tells how long an epoch takes.
DECISIVE = ("model.", "data.", "trainer.devices", "trainer.precision", "trainer.accelerator")


@dataclass(frozen=True)
class Span:
    """When a job will run, in seconds from now.

    Attributes:
        start_s: None when that cannot be told.
        end_s: The same.
    """

    start_s: float | None
    end_s: float | None


UNKNOWN = Span(None, None)


def forecast(
    running: Sequence[Run], queued: Sequence[Run], done: Sequence[Run], slots: Sequence[str], host: str
) -> dict[str, Span]:
    """Play the queue through: each job takes what the newest run like it took, by the epoch.

    Args:
        running: All runs that have devices.
        queued: Those that wait, in their order.
        done: Those that have ended, newest first.
        slots: Of this machine; see `jobs.machine`.
        host: Name of this machine; what others took says nothing.

    Returns:
        For each run that is running or waits; nothing is guessed where nothing was measured.
    """
    spans = {run.run_id: Span(0.0, run.eta_s) for run in running}
    free_at = dict.fromkeys(slots, 0.0)
    for run in running:
        free_at |= dict.fromkeys(set(slots_of(run)) & set(slots), inf if run.eta_s is None else run.eta_s)
    waiting = [run for run in queued if not is_held(run)]
    now_s: float = 0.0
    while waiting and now_s < inf:
        blocking = {run.run_id for run in queued if run.run_id not in spans} | {
            run_id for run_id, span in spans.items() if span.end_s is None or span.end_s > now_s
        }
        # As the supervisor does it: the first that may start takes its devices, or all wait for them.
        head = next((run for run in waiting if run.tags.get(AFTER) not in blocking), None)
        free = [slot for slot, end_s in free_at.items() if end_s <= now_s]
        if head and _count(head, slots) <= len(free):
            takes_s = expected_s(head, done, host)
            spans[head.run_id] = Span(now_s, None if takes_s is None else now_s + takes_s)
            end_s = inf if takes_s is None else now_s + takes_s
            free_at |= dict.fromkeys(free[: _count(head, slots)], end_s)
            waiting.remove(head)
        else:
            ends = [span.end_s for span in spans.values() if span.end_s is not None]
            now_s = min((end_s for end_s in ends if end_s > now_s), default=inf)
    return {run.run_id: spans.get(run.run_id, UNKNOWN) for run in (*running, *queued)}


def expected_s(run: Run, done: Sequence[Run], host: str) -> float | None:
    """Seconds that a job will take: those of the newest finished run like it, in proportion to its epochs."""
    wanted = _decisive(run.params)
    for other in done:
        if other.status != "FINISHED" or other.tags.get("job.host") != host or other.duration_s is None:
            continue
        if run.max_epochs and other.max_epochs and _decisive(other.params) == wanted:
            return other.duration_s * run.max_epochs / other.max_epochs
    return None


def _decisive(params: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if key.startswith(DECISIVE)}


def _count(run: Run, slots: Sequence[str]) -> int:
    try:
        return count_slots({"trainer": {"devices": run.params.get("trainer.devices", 1)}}, slots)
    except LaunchError:
        return 1
