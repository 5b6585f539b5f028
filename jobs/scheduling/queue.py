"""The queue of waiting jobs: their order, which are held, and which wait for another.

All of it is stored in tags of the waiting runs, so that the supervisor, the dashboard and the command line
see the same queue. A job that is held, or waits for another, keeps its place while those behind it may start.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

from jobs.engines import WAITS_FOR, is_started
from jobs.problems import Refused
from problems import InvalidValue
from tracking import records, runs
from tracking.entities import ACTIVE_STATUSES, HOME
from tracking.runs import Run
from tracking.store import Store

Direction = Literal["up", "down", "first", "last"]

PRIORITY, PLACE, HELD, AFTER = "queue.priority", "queue.place", "queue.held", "queue.after"
FREE_DEVICE = "waiting for a free device"
PRIORITIES = range(-100, 101)
# A run that is moved to the end is placed this many seconds after the last one, so before later submissions.
STEP_S = 0.0005


def line_up(waiting: Iterable[Run]) -> list[Run]:
    """Sort waiting runs by descending priority, then as they were moved or submitted."""
    return sorted(waiting, key=lambda run: (-priority_of(run), _place(run), run.created_at, run.run_id))


def line_with(run: Run, active: Iterable[Run]) -> list[Run]:
    """Return the queue that a run is in: with a tracking server, each machine has its own."""
    home = run.tags.get(HOME)
    return line_up(one for one in active if one.status == "SCHEDULED" and one.tags.get(HOME) == home)


def priority_of(run: Run) -> int:
    """Return the priority of a run, 0 by default."""
    value = run.tags.get(PRIORITY, "")
    return int(value) if value.removeprefix("-").isdecimal() else 0


def is_held(run: Run) -> bool:
    """Return whether the run waits until it is released."""
    return run.tags.get(HELD) == "yes"


def is_ready(run: Run, active: Collection[str]) -> bool:
    """Return whether a waiting run may start once devices are free.

    Args:
        run: A waiting run.
        active: The ids of all waiting and running runs. A run that has ended in any way blocks nothing.
    """
    return not is_held(run) and run.tags.get(AFTER) not in active


def obstacle(run: Run, active: Mapping[str, Run]) -> str:
    """Describe in a few words what a waiting run waits for.

    Args:
        run: A waiting run.
        active: All waiting and running runs by id.
    """
    if is_held(run):
        return "held"
    if before := active.get(run.tags.get(AFTER, "")):
        return f"after {before.name}"
    return run.tags.get(WAITS_FOR) or FREE_DEVICE


def hold(store: Store, run_id: str) -> None:
    """Keep a waiting run from starting until it is released.

    Raises:
        InvalidValue: There is no such run, or it is not waiting.
        StoreUnavailable: The store cannot be written.
    """
    records.set_tags(store, _waiting(store, run_id).run_id, {HELD: "yes"})


def release(store: Store, run_id: str) -> None:
    """Allow a held run to start when it is next in the queue. Raises the same errors as `hold`."""
    records.set_tags(store, _waiting(store, run_id).run_id, {HELD: "no"})


def prioritise(store: Store, run_id: str, priority: int) -> None:
    """Set the priority of a waiting run. Raises the same errors as `hold`."""
    if priority not in PRIORITIES:
        raise InvalidValue(Refused.PRIORITY, priority=priority, lowest=PRIORITIES[0], highest=PRIORITIES[-1])
    records.set_tags(store, _waiting(store, run_id).run_id, {PRIORITY: priority})


def start_after(store: Store, run_id: str, other_id: str | None) -> None:
    """Make a waiting run wait for the end of another one, whatever its result; None removes the condition.

    Raises:
        InvalidValue: There is no such run, it is not waiting, or the two would wait for each other.
        StoreUnavailable: The store cannot be written.
    """
    run = _waiting(store, run_id)
    active = {one.run_id: one for one in runs.list_runs(store, ACTIVE_STATUSES)}
    before = runs.get_run(store, other_id) if other_id else None
    while before:
        if before.run_id == run.run_id:
            raise InvalidValue(Refused.WAITS_FOR_ITSELF, name=run.name)
        before = active.get(before.tags.get(AFTER, ""))
    records.set_tags(store, run.run_id, {AFTER: other_id or ""})


def move(store: Store, run_id: str, direction: Direction) -> None:
    """Move a waiting run in the queue. A run that passes one of another priority takes on that priority.

    Raises:
        InvalidValue: There is no such run or direction, or the run is not waiting.
        StoreUnavailable: The store cannot be written.
    """
    if direction not in get_args(Direction):
        directions = ", ".join(get_args(Direction))
        raise InvalidValue(Refused.DIRECTION, direction=direction, directions=directions)
    run = _waiting(store, run_id)
    line = line_with(run, runs.list_runs(store, ["SCHEDULED"]))
    now = [one.run_id for one in line].index(run.run_id)
    place = {"up": max(0, now - 1), "down": now + 1, "first": 0, "last": len(line)}[direction]
    others = line[:now] + line[now + 1 :]
    line = [*others[:place], run, *others[place:]]
    place = line.index(run)
    if place == now:
        return
    priority = priority_of(line[place + 1] if place < now else line[place - 1])
    between = _place_between(*(_neighbour(line, at, priority) for at in (place - 1, place + 1)))
    if between is None:
        _renumber(store, run, priority, line)
    else:
        records.set_tags(store, run.run_id, {PLACE: repr(between), PRIORITY: priority})


def _neighbour(line: Sequence[Run], at: int, priority: int) -> float | None:
    """Return the place of the run at an index, if it has the same priority."""
    run = line[at] if 0 <= at < len(line) else None
    return _place(run) if run and priority_of(run) == priority else None


def _place_between(before: float | None, after: float | None) -> float | None:
    """Return a place between two, so that no other run has to be changed; None if there is none left."""
    if before is None:
        return None if after is None else after - 1
    if after is None:
        return before + STEP_S
    middle = (before + after) / 2
    return middle if before < middle < after else None


def _renumber(store: Store, moved: Run, priority: int, line: Sequence[Run]) -> None:
    """Renumber the places of a priority from 0; later submissions, whose place is their time, come after."""
    group = [run for run in line if run is moved or priority_of(run) == priority]
    for number, run in enumerate(group):
        tags: dict[str, object] = {} if _place(run) == number else {PLACE: number}
        if run is moved and priority_of(run) != priority:
            tags[PRIORITY] = priority
        if tags:
            records.set_tags(store, run.run_id, tags)


def _place(run: Run) -> float:
    try:
        return float(run.tags[PLACE])
    except (KeyError, ValueError):
        return run.created_at


def _waiting(store: Store, run_id: str) -> Run:
    run = runs.get_run(store, run_id)
    has_started = is_started(run) and run.tags.get("job.request") != "resume"
    if run.status != "SCHEDULED":
        raise InvalidValue(Refused.NOT_WAITING, name=run.name, status=run.status)
    if has_started:
        raise InvalidValue(Refused.IS_STARTING, name=run.name)
    return run
