"""A store of its own for every test; MLflow's tables are made once, since that takes seconds."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracking.mlflow_server import Server
from tracking.store import Store


@pytest.fixture
def closed_store(prepared_root: Path, tmp_path: Path) -> Store:
    """A store that this process has no connection to."""
    root = tmp_path / "mlruns"
    shutil.copytree(prepared_root, root)
    return Store(root)


@pytest.fixture
def store(closed_store: Store) -> Store:
    return closed_store.open()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def remote(server: Server, tmp_path: Path) -> Store:
    """One machine's part of what a server holds."""
    if not server.answers():
        server.start()
    return Store(tmp_path / "mlruns", server.url).open()


@pytest.fixture
def config() -> dict:
    return {
        "seed_everything": 0,
        "trainer": {"max_epochs": 5, "accelerator": "auto", "devices": 1},
        "model": {"architecture": "alexnet", "recipe": "quick", "options": {}},
        "data": {"source": "digits", "root": None, "image_size": 64, "batch_size": 64},
    }
