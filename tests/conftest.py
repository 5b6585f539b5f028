"""What all tests share: a cache that is not the user's, a store to copy, and the table of faults."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.host import gpus, machine
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


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Lets NVIDIA's driver tell of GPUs, or say why it cannot: see `tests/fake_nvml/pynvml.py`."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def forget() -> None:
        gpus._library.cache_clear()
        machine._look.cache_clear()

    def do(found: object, visible: str | None = None) -> None:
        monkeypatch.syspath_prepend(Path(__file__).parent / "fake_nvml")
        monkeypatch.delitem(sys.modules, "pynvml", raising=False)
        monkeypatch.setenv("NVML_GPUS", json.dumps(found))
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        forget()

    yield do
    forget()
    sys.modules.pop("pynvml", None)
