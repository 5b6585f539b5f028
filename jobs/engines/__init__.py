"""Where jobs run: each engine starts, watches and ends processes in its own way behind one interface."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tracking.runs import Run


@dataclass(frozen=True)
class Exit:
    """How a job's process ended.

    Attributes:
        code: As `subprocess` gives it (negative: the signal), None when nobody was there to see it.
    """

    code: int | None


class Engine(Protocol):
    """What the supervisor asks of an engine.

    Attributes:
        slots: The devices it hands out, none where somebody else does.
    """

    slots: tuple[str, ...]

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Start the run unless it must wait for one of the busy ones; whether it has been started.

        Raises:
            LaunchError: It can never be started.
        """

    def poll(self, run: Run) -> Exit | None:
        """How it ended, None while it lives."""

    def stop(self, run: Run, *, force: bool) -> None:
        """Tell its process to end or, with force, end it and everything it has started."""

    def logs(self, run_id: str) -> Path:
        """The file with what it printed; need not exist yet."""
