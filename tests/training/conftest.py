"""The training program as people start it: a process of its own, on a store of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tracking import runs
from tracking.layout import REPOSITORY
from tracking.store import Store

TIMEOUT_S = 240


class Arena:
    """A store and the program that trains into it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.environment = os.environ | {"ARENA_MLRUNS": str(store.root)}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "training", "fit", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=self.environment,
        )

    def fit(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        printed, complained = process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(arguments, process.returncode, printed, complained)

    @property
    def run(self) -> runs.Run:
        """The only run there is."""
        (run,) = runs.list_runs(self.store)
        return run


@pytest.fixture
def arena(prepared_root: Path, tmp_path: Path) -> Iterator[Arena]:
    root = tmp_path / "mlruns"
    shutil.copytree(prepared_root, root)
    arena = Arena(Store(root).open())
    yield arena
    for process in psutil.process_iter():
        try:
            if process.environ().get("ARENA_MLRUNS") == str(root):
                process.kill()
        except psutil.Error:
            continue
