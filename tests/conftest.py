"""No test writes into the cache of the user who runs them; faults end in a table."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
