"""The engines that jobs run on: each starts, watches and ends processes behind one interface."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jobs.problems import ClusterEnding
from tracking.runs import Run

# The tag with the engine that a job was submitted to; a job without it is a process on this machine.
ENGINE, LOCAL, SLURM = "job.engine", "local", "slurm"
# The tags that identify the cluster job of a run, besides those of its process there.
CLUSTER_TAGS = CLUSTER_ID, ASKED, RESTARTS, NODES = (
    "job.cluster_id",
    "job.cluster_asked",
    "job.cluster_restarts",
    "job.nodes",
)
# The tag with the reason why an engine keeps a run waiting.
WAITS_FOR = "queue.reason"


@dataclass(frozen=True)
class Exit:
    """How a job's process ended.

    Attributes:
        code: The exit code as in `subprocess` (negative: the signal), None if nobody saw the process end.
        cause: Why a cluster ended it, None if the exit code is all that is known.
        values: The values of the cause's sentence.
    """

    code: int | None
    cause: ClusterEnding | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """The interface of an engine to the supervisor."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots that it assigns to jobs, empty if a cluster assigns the devices."""

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Start a run unless it must wait for one of the busy ones, and return whether it was started.

        Raises:
            LaunchError: The run can never be started.
        """

    def dispatch(self) -> None:
        """Start what `submit` has postponed; called after all runs that may start now were submitted."""

    def poll(self, run: Run) -> Exit | None:
        """Return how the process of a run ended, None while it runs."""

    def stop(self, run: Run, *, force: bool) -> None:
        """Ask the process of a run to end or, with force, kill it and everything that it has started."""


def engine_of(run: Run) -> str:
    """Return the engine of a run. Each engine has its own queue."""
    return run.tags.get(ENGINE, LOCAL)


def is_started(run: Run) -> bool:
    """Return whether an engine has the run; it may still be waiting in the queue of a cluster."""
    return bool(run.tags.get(CLUSTER_ID if engine_of(run) == SLURM else "job.pid"))


def is_asked_for(run: Run) -> bool:
    """Return whether an engine was about to start the run, and may have done so without recording it."""
    return bool(run.tags.get(ASKED if engine_of(run) == SLURM else "job.slots"))
