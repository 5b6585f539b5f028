"""The servers of `docs/team.md` in a temporary folder, and one member of the team."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.team.server import Problem, find_program
from tracking.layout import REPOSITORY
from tracking.store import Store


class Team:
    """PostgreSQL, an S3 store and MLflow's server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = dict(os.environ)  # without what a member's processes are told apart by
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.team.server", str(self.folder), "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=self.environment,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.url = line.strip().removeprefix("export ARENA_TRACKING_URI=")

    def crash(self) -> None:
        """All of it at once, as a power cut would; nothing is left."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        for process in [*family, self.process]:
            process.kill()
        psutil.wait_procs(family, timeout=10)
        self.process.communicate()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)  # Ctrl-C is ignored where tests run in the background
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    try:
        find_program("initdb")
    except Problem as problem:
        pytest.skip(str(problem))
    # Where PostgreSQL's own user may go: it does not run as root, and may not enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="team-"))
    folder.chmod(0o755)
    team = Team(folder / "shared")
    try:
        yield team
        assert team.stop() == 0
        assert not [one for one in psutil.process_iter() if str(folder) in " ".join(_words(one))]
    finally:
        if team.process.poll() is None:
            team.crash()
        shutil.rmtree(folder)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def store(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One member's machine."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("member") / "mlruns"
        store = Store(root, team.url).open()
        for name, value in store.environment.items():
            patch.setenv(name, value)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("GATES", str(root / "gates"))
        (root / "gates").mkdir()
        yield store
    for process in psutil.process_iter():
        try:
            if process.environ().get("ARENA_MLRUNS") == str(root) and process.pid != os.getpid():
                process.kill()
        except psutil.Error:
            continue
