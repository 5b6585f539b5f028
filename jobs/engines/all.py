"""All engines behind one interface: each run goes to the engine that it was submitted to."""

from collections.abc import Iterable

from jobs.engines import LOCAL, SLURM, Engine, Exit, engine_of
from jobs.engines.local import LocalEngine
from jobs.engines.slurm import SlurmEngine
from jobs.problems import Launch, LaunchError
from tracking.runs import Run
from tracking.store import Store


class AllEngines:
    """An engine that delegates to the engine of each run.

    Args:
        store: The store with the runs.
    """

    def __init__(self, store: Store) -> None:
        self._local = LocalEngine(store)
        self._engines: dict[str, Engine] = {LOCAL: self._local, SLURM: SlurmEngine(store)}

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of the local engine."""
        return self._local.slots

    def submit(self, run: Run, busy: Iterable[Run]) -> bool:
        """Start a run unless it must wait. Raises LaunchError if it can never be started."""
        return self._engine(run).submit(run, [other for other in busy if engine_of(other) == engine_of(run)])

    def dispatch(self) -> None:
        """Start what was postponed. Raises StoreUnavailable."""
        for engine in self._engines.values():
            engine.dispatch()

    def poll(self, run: Run) -> Exit | None:
        """Return how the process of a run ended, None while it runs."""
        return self._engine(run).poll(run)

    def stop(self, run: Run, *, force: bool) -> None:
        """Ask the process of a run to end or, with force, kill it."""
        self._engine(run).stop(run, force=force)

    def _engine(self, run: Run) -> Engine:
        try:
            return self._engines[engine_of(run)]
        except KeyError:
            engines = " and ".join(self._engines)
            raise LaunchError(Launch.NO_ENGINE, engine=engine_of(run), engines=engines) from None
