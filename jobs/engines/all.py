"""Every engine as one: each run goes to the one it was submitted to."""

from collections.abc import Iterable

from jobs.engines import LOCAL, SLURM, Engine, Exit, engine_of
from jobs.engines.local import LocalEngine
from jobs.engines.slurm import SlurmEngine
from jobs.errors import LaunchError
from tracking.runs import Run
from tracking.store import Store


class AllEngines:
    """Asks the engine of each run.

    Args:
        store: Where the runs are.
    """

    def __init__(self, store: Store) -> None:
        self._local = LocalEngine(store)
        self._engines: dict[str, Engine] = {LOCAL: self._local, SLURM: SlurmEngine(store)}

    @property
    def slots(self) -> tuple[str, ...]:
        """The devices that are handed out here."""
        return self._local.slots

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Start the run unless it must wait. Raises LaunchError when it can never be started."""
        return self._engine(run).submit(run, [other for other in busy if engine_of(other) == engine_of(run)])

    def dispatch(self) -> None:
        """Begin with what was put off. Raises StoreUnavailable."""
        for engine in self._engines.values():
            engine.dispatch()

    def poll(self, run: Run) -> Exit | None:
        """How it ended, None while it lives."""
        return self._engine(run).poll(run)

    def stop(self, run: Run, *, force: bool) -> None:
        """Tell it to end or, with force, end it."""
        self._engine(run).stop(run, force=force)

    def _engine(self, run: Run) -> Engine:
        try:
            return self._engines[engine_of(run)]
        except KeyError:
            allowed = " and ".join(self._engines)
            raise LaunchError(f"There is no engine {engine_of(run)!r}; there are {allowed}.") from None
