"""The runs of a store, sorted by what a person wants to know: what is running, waiting, done."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jobs.host.machine import Machine
from jobs.scheduling.forecast import Span, forecast
from jobs.scheduling.queue import line_up, obstacle
from tracking.entities import ACTIVE_STATUSES, TERMINAL_STATUSES
from tracking.runs import Run, is_ours, list_runs
from tracking.store import Store

# File times are as coarse as the kernel's clock: a file this new may be written again and keep its time.
SETTLED_S = 0.1
# How long what a server says about runs that have ended may be shown.
HELD_S = 10.0


@dataclass(frozen=True)
class Board:
    """One look at a store.

    Attributes:
        running: runs of this machine as they came.
        queued: the queue of this machine as it will start.
        others: active runs of other machines that use the same server, as they came.
        done: runs of all machines that have ended, newest first.
    """

    running: Sequence[Run]
    queued: Sequence[Run]
    others: Sequence[Run]
    done: Sequence[Run]

    @property
    def is_active(self) -> bool:
        """Whether something can still change by itself."""
        return bool(self.active or self.others)

    @property
    def state(self) -> Sequence[tuple[str, str]]:
        """What is active and how, nothing when nothing is; a page that lists runs changes with it."""
        return tuple((run.run_id, run.status) for run in (*self.active, *self.others))

    def obstacle(self, run: Run) -> str:
        """Describe what a queued run waits for."""
        return obstacle(run, {one.run_id: one for one in (*self.active, *self.others)})

    def forecast(self, machine: Machine) -> Mapping[str, Span]:
        """Return when each active run will start and end on this machine."""
        return forecast(self.running, self.queued, self.done, machine.slots, machine.name)

    @property
    def is_empty(self) -> bool:
        """Whether there is no run at all."""
        return not (self.is_active or self.done)

    @property
    def active(self) -> Sequence[Run]:
        """This machine's running runs, then its queue."""
        return [*self.running, *self.queued]

    @property
    def summary(self) -> str:
        """One short line: `1 running · 2 queued · 3 elsewhere`."""
        if not self.is_active:
            return "Nothing running"
        return " · ".join(f"{count} {word}" for count, word in self._counts if count)

    @property
    def totals(self) -> str:
        """One line over all runs: `2 running · 1 queued · 12 done, 1 of them failed`."""
        failed = sum(run.status == "FAILED" for run in self.done)
        done = f"{len(self.done)} done" + (f", {failed} of them failed" if failed else "")
        here, waiting, elsewhere = (f"{count} {word}" for count, word in self._counts)
        return " · ".join([here, waiting, *([elsewhere] * bool(self.others)), done])

    @property
    def _counts(self) -> Sequence[tuple[int, str]]:
        return [
            (len(self.running), "running"),
            (len(self.queued), "queued"),
            (len(self.others), "elsewhere"),
        ]


def read_board(store: Store) -> Board:
    """Sort the runs of the store.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    runs = read_runs(store)
    active = [run for run in reversed(runs) if run.is_active]
    ours = [run for run in active if is_ours(store, run)]
    return Board(
        running=[run for run in ours if run.status == "RUNNING"],
        queued=line_up(run for run in ours if run.status == "SCHEDULED"),
        others=[run for run in active if not is_ours(store, run)],
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
    """Read everything again the next time: a run has just been renamed or deleted here."""
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
