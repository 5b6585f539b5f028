"""A real cluster for all tests here, a store for each, and a supervisor that works step by step."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from jobs.engines.slurm import SlurmEngine
from jobs.supervision.supervisor import Supervisor
from tests.dashboard.conftest import open_page
from tests.slurm.cluster import Cluster, find_missing
from tracking import records, runs
from tracking.layout import REPOSITORY
from tracking.store import Store

__all__ = ["open_page"]

JOB = Path(__file__).parent / "job.py"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if missing := find_missing():
        pytest.skip(f"there is no Slurm here: {', '.join(missing)} not found")
    cluster = Cluster()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


class Bench:
    """A supervisor whose jobs run on the cluster."""

    def __init__(self, store: Store, cluster: Cluster, command: tuple[str, ...]) -> None:
        self.store, self.cluster = store, cluster
        self.engine = SlurmEngine(store, command, poll_interval_s=0.3, retry_interval_s=0.5)
        self.supervisor = Supervisor(store, self.engine, ask_grace_s=60, term_grace_s=60)

    def submit(
        self, behaviour: str, *, tags: Mapping[str, str] = MappingProxyType({}), **config: object
    ) -> str:
        settings = {"behaviour": behaviour, "trainer": {"devices": 1}, "slurm": {}, **config}
        return records.create_run(self.store, settings, tags={"job.engine": "slurm", **tags})

    def run(self, run_id: str) -> runs.Run:
        return runs.get_run(self.store, run_id)

    def until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            told = [(run.name, run.status, run.tags) for run in runs.list_runs(self.store)]
            logs = [self.printed(run.run_id) for run in runs.list_runs(self.store)]
            assert time.monotonic() < deadline, (told, logs)
            self.supervisor.step()
            time.sleep(0.1)

    def until_ended(self, run_id: str) -> runs.Run:
        self.until(lambda: self.run(run_id).is_terminal)
        return self.run(run_id)

    def until_printed(self, run_id: str, word: str) -> None:
        self.until(lambda: word in self.printed(run_id))

    def printed(self, run_id: str) -> str:
        file = self.store.log_file(run_id)
        return file.read_text() if file.exists() else ""


@pytest.fixture
def store(prepared_root: Path, tmp_path: Path) -> Store:
    root = tmp_path / "mlruns"
    shutil.copytree(prepared_root, root)
    return Store(root).open()


@pytest.fixture
def bench(store: Store, cluster: Cluster) -> Iterator[Bench]:
    """With a small script in the place of the training process."""
    yield Bench(store, cluster, (sys.executable, str(JOB)))
    cluster.ask("scancel", "--me")


@pytest.fixture
def trainings(store: Store, cluster: Cluster) -> Iterator[Bench]:
    """With the real training process."""
    yield Bench(store, cluster, (sys.executable, "-m", "training", "fit"))
    cluster.ask("scancel", "--me")


@pytest.fixture
def benches(cluster: Cluster) -> Callable[[Store], Bench]:
    """For a successor."""
    return lambda store: Bench(store, cluster, (sys.executable, str(JOB)))
