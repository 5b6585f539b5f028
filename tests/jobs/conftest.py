"""Real stores and supervisors, with a small script in place of the training process."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jobs.engines.local import LocalEngine
from jobs.supervision.supervisor import Supervisor, find_supervisor
from tracking import records, runs
from tracking.store import Store

JOB = Path(__file__).parent / "job.py"


@pytest.fixture
def store(prepared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose processes are all killed at the end of the test."""
    root = tmp_path / "mlruns"
    shutil.copytree(prepared_root, root)
    monkeypatch.setenv("ARENA_MLRUNS", str(root))
    yield Store(root).open()
    for process in psutil.process_iter():
        try:
            if process.environ().get("ARENA_MLRUNS") == str(root) and process.pid != psutil.Process().pid:
                process.kill()
        except psutil.Error:
            continue


class Bench:
    """A supervisor that runs step by step within the test."""

    def __init__(
        self, store: Store, slots: tuple[str, ...] = ("cpu:0",), command: tuple[str, ...] = ()
    ) -> None:
        self.store = store
        self.engine = LocalEngine(store, slots, command or (sys.executable, str(JOB)))
        self.supervisor = Supervisor(store, self.engine, ask_grace_s=0.5, term_grace_s=0.5)

    def submit(self, behaviour: str, **config: object) -> str:
        return records.create_run(self.store, {"behaviour": behaviour, **config})

    def run(self, run_id: str) -> runs.Run:
        return runs.get_run(self.store, run_id)

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, [(run.name, run.status) for run in runs.list_runs(self.store)]
            self.supervisor.step()
            time.sleep(0.05)

    def until_ended(self, *run_ids: str) -> list[runs.Run]:
        self.until(lambda: all(self.run(run_id).is_terminal for run_id in run_ids))
        return [self.run(run_id) for run_id in run_ids]

    def until_printed(self, run_id: str, word: str) -> None:
        self.until(lambda: word in self.printed(run_id))

    def printed(self, run_id: str) -> str:
        file = self.store.log_file(run_id)
        return file.read_text() if file.exists() else ""


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


@pytest.fixture
def benches() -> type[Bench]:
    """The class, for another number of slots or a second supervisor."""
    return Bench


def wait_for(condition: Callable[[], object], seconds: float = 30) -> object:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def supervise(store: Store, job: Path = JOB, num_slots: int = 1) -> "subprocess.Popen[bytes]":
    """Start a supervisor as a separate process, whose jobs are simulated."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "supervise.py"), str(job), str(num_slots)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: (found := find_supervisor(store)) and found.pid == process.pid)
    return process


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def family(printed: str) -> list[int]:
    """Return the numbers of the processes that a job has printed."""
    line = next(line for line in printed.splitlines() if line.startswith("family"))
    return [int(pid) for pid in line.split()[1:]]
