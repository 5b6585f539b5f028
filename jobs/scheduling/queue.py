"""The line of waiting jobs: who comes next, who is held, who waits for whom.

All of it is in tags of the waiting runs, so that the supervisor, the pages and the shell see the same line.
A held job, or one that waits for another, keeps its place and lets those behind it pass.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

from jobs.engines import WAITS_FOR, is_started
from tracking import records, runs
from tracking.entities import ACTIVE_STATUSES, HOME
from tracking.runs import Run
from tracking.store import Store

Direction = Literal["up", "down", "first", "last"]

PRIORITY, PLACE, HELD, AFTER = "queue.priority", "queue.place", "queue.held", "queue.after"
FREE_DEVICE = "waiting for a free device"
PRIORITIES = range(-100, 101)
# How far behind the last one a run is put, in seconds: before all that will be submitted from now on.
STEP_S = 0.0005


def line_up(waiting: Iterable[Run]) -> list[Run]:
    """Sort waiting runs: the highest priority first, within it as they were moved or submitted."""
    return sorted(waiting, key=lambda run: (-priority_of(run), _place(run), run.created_at, run.run_id))


def line_with(run: Run, active: Iterable[Run]) -> list[Run]:
    """The line of the machine that looks after a run: with a server, each has its own."""
    home = run.tags.get(HOME)
    return line_up(one for one in active if one.status == "SCHEDULED" and one.tags.get(HOME) == home)


def priority_of(run: Run) -> int:
    """The priority of a run, 0 unless somebody gave it another."""
    value = run.tags.get(PRIORITY, "")
    return int(value) if value.removeprefix("-").isdecimal() else 0


def is_held(run: Run) -> bool:
    """Whether the run waits for somebody to release it."""
    return run.tags.get(HELD) == "yes"


def is_ready(run: Run, active: Collection[str]) -> bool:
    """Whether a waiting run may start once devices are free.

    Args:
        run: A waiting one.
        active: Ids of all runs that wait or run. One that has ended, however it did, blocks nobody.
    """
    return not is_held(run) and run.tags.get(AFTER) not in active


def obstacle(run: Run, active: Mapping[str, Run]) -> str:
    """Say what a waiting run waits for.

    Args:
        run: A waiting one.
        active: All runs that wait or run, by id.
    """
    if is_held(run):
        return "held"
    if before := active.get(run.tags.get(AFTER, "")):
        return f"after {before.name}"
    return run.tags.get(WAITS_FOR) or FREE_DEVICE


def hold(store: Store, run_id: str) -> None:
    """Keep a waiting run from starting until it is released.

    Raises:
        ValueError: There is no such run, or it does not wait.
        StoreUnavailable: The store cannot be written.
    """
    records.set_tags(store, _waiting(store, run_id).run_id, {HELD: "yes"})


def release(store: Store, run_id: str) -> None:
    """Let a held run start in its turn. Raises as `hold`."""
    records.set_tags(store, _waiting(store, run_id).run_id, {HELD: "no"})


def prioritise(store: Store, run_id: str, priority: int) -> None:
    """Put a waiting run before all those of a lower priority. Raises as `hold`."""
    if priority not in PRIORITIES:
        raise ValueError(
            f"The priority is {priority}; it must be from {PRIORITIES.start} to {PRIORITIES.stop - 1}."
        )
    records.set_tags(store, _waiting(store, run_id).run_id, {PRIORITY: priority})


def start_after(store: Store, run_id: str, other_id: str | None) -> None:
    """Let a waiting run start when another one has ended, however it did; None takes that back.

    Raises:
        ValueError: There is no such run, it does not wait, or the two would wait for each other.
        StoreUnavailable: The store cannot be written.
    """
    run = _waiting(store, run_id)
    active = {one.run_id: one for one in runs.list_runs(store, ACTIVE_STATUSES)}
    before = runs.get_run(store, other_id) if other_id else None
    while before:
        if before.run_id == run.run_id:
            raise ValueError(f"{run.name} would wait for itself; choose a run that does not wait for it.")
        before = active.get(before.tags.get(AFTER, ""))
    records.set_tags(store, run.run_id, {AFTER: other_id or ""})


def move(store: Store, run_id: str, direction: Direction) -> None:
    """Move a waiting run in the line; past one of another priority it takes that priority.

    Raises:
        ValueError: There is no such run or direction, or the run does not wait.
        StoreUnavailable: The store cannot be written.
    """
    if direction not in get_args(Direction):
        raise ValueError(f"A run moves {', '.join(get_args(Direction))}; not {direction!r}.")
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
    """The place of whoever stands there, if it is of the same priority."""
    run = line[at] if 0 <= at < len(line) else None
    return _place(run) if run and priority_of(run) == priority else None


def _place_between(before: float | None, after: float | None) -> float | None:
    """A place between two, so that none of the others has to be written; None where there is none left."""
    if before is None:
        return None if after is None else after - 1
    if after is None:
        return before + STEP_S
    middle = (before + after) / 2
    return middle if before < middle < after else None


def _renumber(store: Store, moved: Run, priority: int, line: Sequence[Run]) -> None:
    """Write the places of a priority; later submissions, whose place is their time, come after them."""
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
    if run.status != "SCHEDULED" or has_started:
        how = "is starting" if run.status == "SCHEDULED" else f"is {run.status}"
        raise ValueError(f"{run.name} {how}; only a run that still waits has a place in the queue.")
    return run
