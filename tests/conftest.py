"""What all tests share: a cache that is not the user's, a store to copy, and the table of faults."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracking.store import Store

pytest_plugins = ("tests.faults.table",)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Inherited by the processes that tests start."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("ARENA_CACHE")
    os.environ["ARENA_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["ARENA_CACHE"]
    else:
        os.environ["ARENA_CACHE"] = before


@pytest.fixture(scope="session")
def prepared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty store, to be copied: MLflow takes seconds to make one."""
    return Store(tmp_path_factory.mktemp("prepared") / "mlruns").open().root
