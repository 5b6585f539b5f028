"""The runs of a store, sorted by what a person wants to know: what is running, waiting, done."""

from collections.abc import Sequence
from dataclasses import dataclass

from tracking.runs import Run, list_runs
from tracking.store import Store


@dataclass(frozen=True)
class Board:
    """One look at a store: active runs in the order they came, done ones newest first."""

    running: Sequence[Run]
    queued: Sequence[Run]
    done: Sequence[Run]

    @property
    def is_active(self) -> bool:
        """Whether something can still change by itself."""
        return bool(self.running or self.queued)

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
    """Read every run of the store once.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    runs = list_runs(store)
    return Board(
        running=[run for run in reversed(runs) if run.status == "RUNNING"],
        queued=[run for run in reversed(runs) if run.status == "SCHEDULED"],
        done=[run for run in runs if run.is_terminal],
    )
