"""When waiting jobs will start and end, from what the same training took on this machine before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from jobs.engines import LOCAL, engine_of
from jobs.errors import LaunchError
from jobs.host.slots import count_slots, kind_of, slots_for, slots_of
from jobs.scheduling.backfill import ResourceRequest, may_pass
from jobs.scheduling.queue import AFTER, is_held
from tracking.runs import PAUSE, Run

# What tells how long an epoch takes, and what of it does not.
DECISIVE = ("model.", "data.", "trainer.devices", "trainer.precision", "trainer.accelerator")
IRRELEVANT = ("model.learning_rate", "model.weights")
# The tag with what a trial has shown that a job will take, in seconds.
EXPECTED = "job.expected_s"


@dataclass(frozen=True)
class Span:
    """When a job will run, in seconds from now, and where.

    Attributes:
        start_s: None when that cannot be told.
        end_s: The same.
        slots: That it has, or will take; none where that cannot be told.
    """

    start_s: float | None
    end_s: float | None
    slots: tuple[str, ...] = ()


UNKNOWN = Span(None, None)


def forecast(
    running: Sequence[Run], queued: Sequence[Run], done: Sequence[Run], slots: Sequence[str], host: str
) -> dict[str, Span]:
    """Play the queue through as the supervisor does: each job takes what the newest run like it took.

    Args:
        running: All runs that have devices.
        queued: Those that wait, in their order.
        done: Those that have ended, newest first.
        slots: Of this machine; see `jobs.host.machine`.
        host: Name of this machine; what others took says nothing.

    Returns:
        For each run that is running or waits; nothing is guessed where nothing was measured.
    """
    spans = {
        run.run_id: Span(0.0, remaining_s(run, done, host), tuple(slot for slot in slots_of(run)))
        for run in running
    }
    free_at = busy_until(running, done, slots, host)
    # A cluster has a line of its own, of which nothing is known here.
    waiting = {run.run_id: run for run in queued if not is_held(run) and engine_of(run) == LOCAL}
    requests = {run_id: request_of(run, [*running, *done], slots, host) for run_id, run in waiting.items()}
    now_s: float = 0.0
    while waiting and now_s < inf:
        blocking = {run.run_id for run in queued if run.run_id not in spans} | {
            run_id for run_id, span in spans.items() if span.end_s is None or span.end_s > now_s
        }
        ready = [run_id for run_id, run in waiting.items() if run.tags.get(AFTER) not in blocking]
        left = {slot: max(0.0, end_s - now_s) for slot, end_s in free_at.items()}
        chosen = _next([requests[run_id] for run_id in ready], left)
        if chosen is not None:
            request = requests[ready[chosen]]
            free = [slot for slot in slots if not left[slot] and kind_of(slot) == request.kind]
            taken = free[: request.count]
            end_s = None if request.takes_s is None else now_s + request.takes_s
            spans[ready[chosen]] = Span(now_s, end_s, tuple(taken))
            free_at |= dict.fromkeys(taken, inf if end_s is None else end_s)
            del waiting[ready[chosen]]
        else:
            ends = [span.end_s for span in spans.values() if span.end_s is not None]
            now_s = min((end_s for end_s in ends if end_s > now_s), default=inf)
    return {run.run_id: spans.get(run.run_id, UNKNOWN) for run in (*running, *queued)}


def busy_until(
    running: Sequence[Run], done: Sequence[Run], slots: Sequence[str], host: str
) -> dict[str, float]:
    """In how many seconds each slot will be free; infinite where that cannot be told."""
    free_at = dict.fromkeys(slots, 0.0)
    for run in running:
        left_s = remaining_s(run, done, host)
        free_at |= dict.fromkeys(set(slots_of(run)) & set(slots), inf if left_s is None else left_s)
    return free_at


def request_of(run: Run, known: Sequence[Run], slots: Sequence[str], host: str) -> ResourceRequest:
    """What a waiting run asks for: devices, and seconds by what `known` runs took."""
    names = ("devices", "accelerator")
    trainer = {name: run.params[key] for name in names if (key := f"trainer.{name}") in run.params}
    mine = slots_for(trainer, slots)
    try:
        count = count_slots(trainer, slots)
    except LaunchError:
        count = 1
    return ResourceRequest(count, expected_s(run, known, host), kind_of(mine[0]) if mine else "")


def remaining_s(run: Run, done: Sequence[Run], host: str) -> float | None:
    """Seconds until a running job ends: at its own pace or, before it has one, as the newest like it."""
    if run.eta_s is not None:
        return run.eta_s
    takes_s = expected_s(run, done, host)
    left_s = 0.0 if takes_s is None else takes_s - (run.duration_s or 0.0)
    return left_s if left_s > 0 else None


def expected_s(run: Run, known: Sequence[Run], host: str) -> float | None:
    """Seconds that a job will take: those of the newest run like it, with more or fewer epochs of its pace.

    One that is still running tells them after its first epoch. Where there is none, what a trial has shown.
    """
    wanted = _decisive(run.params)
    for other in known:
        if run.max_epochs and other.max_epochs and other.tags.get("job.host") == host:
            took_s = _whole_s(other)
            if took_s is not None and _decisive(other.params) == wanted:
                return took_s + (run.max_epochs - other.max_epochs) * _epoch_s(other, took_s)
    try:
        return float(run.tags[EXPECTED])
    except (KeyError, ValueError):
        return None


def _next(requests: Sequence[ResourceRequest], left_s: Mapping[str, float]) -> int | None:
    """Which of the jobs that are ready starts now, if any."""
    for place, request in enumerate(requests):
        passed = [one for one in requests[:place] if one.kind == request.kind]
        free_at = [seconds for slot, seconds in left_s.items() if kind_of(slot) == request.kind]
        if request.count <= free_at.count(0) and (not passed or may_pass(request, passed, free_at)):
            return place
    return None


def _whole_s(run: Run) -> float | None:
    """Seconds that a run took or, from its pace, will have taken from start to end."""
    if run.status == "FINISHED":
        return run.duration_s
    if run.eta_s is None or run.duration_s is None or (run.epoch or 0) < 1:
        return None
    return run.duration_s + run.eta_s


def _epoch_s(run: Run, took_s: float) -> float:
    """Seconds of one epoch and its validation: without the start, where the run's pace is known."""
    epochs = run.max_epochs or 1
    images = (run.number("steps_per_epoch") or 0) * (run.number("images_per_step") or 0)
    if not images or not run.images_per_s:
        return took_s / epochs
    epoch_s = images / run.images_per_s + float(run.tags.get(PAUSE, 0))
    return min(epoch_s, took_s / epochs)  # one that was slower than lately has no time left for a start


def _decisive(params: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if key.startswith(DECISIVE) and key not in IRRELEVANT}
