"""Where jobs run: each engine starts, watches and ends processes in its own way behind one interface."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tracking.runs import Run

# The tag that says which engine a job was submitted to; without it, it is a process of this machine.
ENGINE, LOCAL, SLURM = "job.engine", "local", "slurm"
# What says which job of a cluster a run is, beside the process that it has there.
CLUSTER_TAGS = CLUSTER_ID, ASKED, RESTARTS, NODES = (
    "job.cluster_id",
    "job.cluster_asked",
    "job.cluster_restarts",
    "job.nodes",
)
# The tag with what an engine says of a run that it keeps waiting.
WAITS_FOR = "queue.reason"


@dataclass(frozen=True)
class Exit:
    """How a job's process ended.

    Attributes:
        code: As `subprocess` gives it (negative: the signal), None when nobody was there to see it.
        reason: One sentence where the engine knows more than the code says.
    """

    code: int | None
    reason: str = ""


class Engine(Protocol):
    """What the supervisor asks of an engine."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The devices it hands out, none where somebody else does."""

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Start the run unless it must wait for one of the busy ones; whether it has been started.

        Raises:
            LaunchError: It can never be started.
        """

    def dispatch(self) -> None:
        """Begin with what `submit` has put off: all runs that may start now were submitted."""

    def poll(self, run: Run) -> Exit | None:
        """How it ended, None while it lives."""

    def stop(self, run: Run, *, force: bool) -> None:
        """Tell its process to end or, with force, end it and everything it has started."""


def engine_of(run: Run) -> str:
    """The engine of a run: those of one wait in one line, those of another pass them."""
    return run.tags.get(ENGINE, LOCAL)


def is_started(run: Run) -> bool:
    """Whether an engine has the run; it may wait once more in a line of the engine's own."""
    return bool(run.tags.get(CLUSTER_ID if engine_of(run) == SLURM else "job.pid"))


def is_asked_for(run: Run) -> bool:
    """Whether an engine was about to start the run, which it may have done though that is not recorded."""
    return bool(run.tags.get(ASKED if engine_of(run) == SLURM else "job.slots"))
