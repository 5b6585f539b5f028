"""The runs of a store, sorted by what a person wants to know: what is running, waiting, done."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobs.forecast import Span, forecast
from jobs.machine import Machine
from jobs.queue import line_up, obstacle
from tracking.runs import ACTIVE_STATUSES, TERMINAL_STATUSES, Run, list_runs
from tracking.store import Store

# A file's time has the grain of the kernel's clock: what was written this lately may be written again unseen.
SETTLED_S = 0.1
# How long what a server says about runs that have ended may be shown.
HELD_S = 10.0


@dataclass(frozen=True)
class Board:
    """One look at a store: running runs as they came, the queue as it will start, done ones newest first."""

    running: Sequence[Run]
    queued: Sequence[Run]
    done: Sequence[Run]

    @property
    def is_active(self) -> bool:
        """Whether something can still change by itself."""
        return bool(self.running or self.queued)

    @property
    def state(self) -> Sequence[tuple[str, str]]:
        """What is active and how, nothing when nothing is; a page that lists runs changes with it."""
        return tuple((run.run_id, run.status) for run in self.active)

    def obstacle(self, run: Run) -> str:
        """Say what a queued run waits for."""
        return obstacle(run, {one.run_id: one for one in self.active})

    def forecast(self, machine: Machine) -> Mapping[str, Span]:
        """Tell when each active run will start and end on this machine."""
        return forecast(self.running, self.queued, self.done, machine.slots, machine.name)

    @property
    def is_empty(self) -> bool:
        """Whether there is no run at all."""
        return not (self.running or self.queued or self.done)

    @property
    def active(self) -> Sequence[Run]:
        """Running runs, then the queue."""
        return [*self.running, *self.queued]

    @property
    def summary(self) -> str:
        """One short line: `1 running · 2 queued`."""
        if not self.is_active:
            return "Nothing running"
        counts = [f"{len(self.running)} running"] * bool(self.running) + [
            f"{len(self.queued)} queued"
        ] * bool(self.queued)
        return " · ".join(counts)

    @property
    def totals(self) -> str:
        """One line over all runs: `2 running · 1 queued · 12 done, 1 of them failed`."""
        failed = sum(run.status == "FAILED" for run in self.done)
        done = f"{len(self.done)} done" + (f", {failed} of them failed" if failed else "")
        return " · ".join([f"{len(self.running)} running", f"{len(self.queued)} queued", done])


def read_board(store: Store) -> Board:
    """Sort the runs of the store.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    runs = read_runs(store)
    return Board(
        running=[run for run in reversed(runs) if run.status == "RUNNING"],
        queued=line_up(run for run in runs if run.status == "SCHEDULED"),
        done=[run for run in runs if run.is_terminal],
    )


def read_runs(store: Store) -> Sequence[Run]:
    """Read every run of the store, newest first; again only when the database was written since.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    if store.server:
        return _read_server(store)
    before = _stamps(store)
    known = _READ.get(store)
    if known is not None and known[0] == before:
        return known[1]
    runs = list_runs(store)
    if before and time.time() - max(written_at for written_at, _ in before) / 1e9 > SETTLED_S:
        _READ[store] = (before, runs)
    return runs


def _read_server(store: Store) -> Sequence[Run]:
    """Read what is active each time; what has ended, which may be much, when that has changed or is old."""
    active = list_runs(store, ACTIVE_STATUSES)
    running = {run.run_id for run in active}
    known = _HELD.get(store)
    if known is None or known[0] != running or time.monotonic() - known[1] > HELD_S:
        known = _HELD[store] = (running, time.monotonic(), list_runs(store, TERMINAL_STATUSES))
    done = [run for run in known[2] if run.run_id not in running]
    return sorted([*active, *done], key=lambda run: (run.created_at, run.run_id), reverse=True)


def forget_runs(store: Store) -> None:
    """Read everything again the next time: somebody here has just renamed or deleted a run."""
    _HELD.pop(store, None)


_HELD: dict[Store, tuple[set[str], float, Sequence[Run]]] = {}
_READ: dict[Store, tuple[tuple[tuple[int, int], ...], Sequence[Run]]] = {}


def _stamps(store: Store) -> tuple[tuple[int, int], ...]:
    """When the database and its write-ahead log were written last, and how long they are."""
    stamps = []
    for name in (store.database, store.database.with_name(f"{store.database.name}-wal")):
        with suppress(OSError):
            stat = name.stat()
            stamps.append((stat.st_mtime_ns, stat.st_size))
    return tuple(stamps)
