"""The forecast of when waiting jobs will start and end, from the times of similar runs on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from jobs.engines import LOCAL, engine_of
from jobs.host.slots import count_slots, kind_of, slots_for, slots_of
from jobs.problems import LaunchError
from jobs.scheduling.backfill import ResourceRequest, may_pass
from jobs.scheduling.queue import AFTER, is_held
from tracking.runs import PAUSE, Run

# Settings that affect the time of an epoch, and exceptions among them.
DECISIVE = ("model.", "data.", "trainer.devices", "trainer.precision", "trainer.accelerator")
IRRELEVANT = ("model.learning_rate", "model.weights")
# The tag with the duration of a job in seconds, as estimated by a trial.
EXPECTED = "job.expected_s"


@dataclass(frozen=True)
class Span:
    """When and where a job will run.

    Attributes:
        start_s: The start in seconds from now, None if unknown.
        end_s: The end in seconds from now, None if unknown.
        slots: The slots that it has or will take, empty if unknown.
    """

    start_s: float | None
    end_s: float | None
    slots: tuple[str, ...] = ()


UNKNOWN = Span(None, None)


def forecast(
    running: Sequence[Run], queued: Sequence[Run], done: Sequence[Run], slots: Sequence[str], host: str
) -> dict[str, Span]:
    """Simulate how the supervisor works through the queue, with the times of similar runs.

    Args:
        running: All runs that have devices.
        queued: The waiting runs, in the order of the queue.
        done: The runs that have ended, newest first.
        slots: The slots of this machine; see `jobs.host.machine`.
        host: The name of this machine; the times of other machines are not used.

    Returns:
        The span of each running or waiting run, with None for what was never measured.
    """
    spans = {run.run_id: Span(0.0, remaining_s(run, done, host), tuple(slots_of(run))) for run in running}
    free_at = busy_until(running, done, slots, host)
    # A cluster has its own queue, which is not known here.
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
    """Return in how many seconds each slot will be free; infinity where that is unknown."""
    free_at = dict.fromkeys(slots, 0.0)
    for run in running:
        left_s = remaining_s(run, done, host)
        free_at |= dict.fromkeys(set(slots_of(run)) & set(slots), inf if left_s is None else left_s)
    return free_at


def request_of(run: Run, known: Sequence[Run], slots: Sequence[str], host: str) -> ResourceRequest:
    """Return the devices that a waiting run requests, and for how long according to the `known` runs."""
    names = ("devices", "accelerator")
    trainer = {name: run.params[key] for name in names if (key := f"trainer.{name}") in run.params}
    mine = slots_for(trainer, slots)
    try:
        count = count_slots(trainer, slots)
    except LaunchError:
        count = 1
    return ResourceRequest(count, expected_s(run, known, host), kind_of(mine[0]) if mine else "")


def remaining_s(run: Run, done: Sequence[Run], host: str) -> float | None:
    """Return the seconds until a running job ends, by its own speed or else by the newest similar run."""
    if run.eta_s is not None:
        return run.eta_s
    takes_s = expected_s(run, done, host)
    left_s = 0.0 if takes_s is None else takes_s - (run.duration_s or 0.0)
    return left_s if left_s > 0 else None


def expected_s(run: Run, known: Sequence[Run], host: str) -> float | None:
    """Return the seconds that a job will take, or None if nothing similar was measured.

    They are those of the newest similar run, adjusted to the number of epochs; a run that is still running
    counts from the end of its first epoch. Without such a run, they are the estimate of a trial.
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
    """Return the index of the job that starts now, if any."""
    for place, request in enumerate(requests):
        passed = [one for one in requests[:place] if one.kind == request.kind]
        free_at = [seconds for slot, seconds in left_s.items() if kind_of(slot) == request.kind]
        if request.count <= free_at.count(0) and (not passed or may_pass(request, passed, free_at)):
            return place
    return None


def _whole_s(run: Run) -> float | None:
    """Return the seconds that a run took or, judged by its speed, will have taken from start to end."""
    if run.status == "FINISHED":
        return run.duration_s
    if run.eta_s is None or run.duration_s is None or (run.epoch or 0) < 1:
        return None
    return run.duration_s + run.eta_s


def _epoch_s(run: Run, took_s: float) -> float:
    """Return the seconds of one epoch and its validation, without startup where the run's speed is known."""
    epochs = run.max_epochs or 1
    images = (run.number("steps_per_epoch") or 0) * (run.number("images_per_step") or 0)
    if not images or not run.images_per_s:
        return took_s / epochs
    epoch_s = images / run.images_per_s + float(run.tags.get(PAUSE, 0))
    return min(epoch_s, took_s / epochs)  # the speed is a recent one, and the run may have been faster before


def _decisive(params: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if key.startswith(DECISIVE) and key not in IRRELEVANT}
