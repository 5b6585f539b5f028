"""Temporary stores, empty or with runs in every state; the test process stands in for the supervisor."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from jobs.host.processes import Background
from jobs.supervision.supervisor import state_file
from tracking import records
from tracking.store import Store

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
STEPS_PER_EPOCH = 40
NETWORKS = {"alexnet": 58_322_314, "vgg16": 134_301_514, "googlenet": 5_983_802, "resnet18": 11_181_642}


def configuration(architecture: str, **data: object) -> dict[str, object]:
    return {
        "seed_everything": 0,
        "trainer": {"max_epochs": 3, "accelerator": "auto", "devices": 1},
        "model": {"architecture": architecture, "recipe": "quick", "options": {}},
        "data": {"source": "digits", "root": None, "image_size": 64, "batch_size": 32, **data},
    }


def record(
    store: Store, architecture: str, status: str, epochs: int = 3, error: str = "", seed: int = 0
) -> str:
    """Write a run as a training process would."""
    run_id = records.create_run(store, configuration(architecture) | {"seed_everything": seed})
    if status == "SCHEDULED":
        return run_id
    found_out = {
        "network.parameters": NETWORKS[architecture],
        "network.macs": NETWORKS[architecture] * 3,
        "steps_per_epoch": STEPS_PER_EPOCH,
        "steps_total": 3 * STEPS_PER_EPOCH,
        "images_per_step": 32,
        "device": "test",
    }
    records.log_params(store, run_id, found_out)
    in_an_hour = records.now_ms() + 3_600_000
    records.set_tags(store, run_id, {"job.started_at": 1_790_000_000_000, "job.ends_at": in_an_hour})
    for epoch in range(1, epochs + 1):
        step = epoch * STEPS_PER_EPOCH
        metrics = {
            f"{split}/error_top1": 30.0 / epoch + place for place, split in enumerate(("train", "val"))
        }
        metrics |= {f"{split}/loss": 2.0 / epoch for split in ("train", "val")}
        records.log_metrics(store, run_id, {**metrics, "val/error_top5": 3.0, "train/images_per_s": 90}, step)
    if error:
        records.set_tags(store, run_id, {"job.error": error})
    records.set_status(store, run_id, status)
    store.log_file(run_id).write_text(f"{architecture} says hello\n", encoding="utf-8")
    return run_id


@pytest.fixture(scope="session")
def empty_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Store(tmp_path_factory.mktemp("empty") / "mlruns").open().root


@pytest.fixture(scope="session")
def filled_root(empty_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("filled") / "mlruns"
    shutil.copytree(empty_root, root)
    store = Store(root).open()
    record(store, "alexnet", "FINISHED")
    record(store, "googlenet", "FINISHED")
    record(store, "resnet18", "FAILED", epochs=1, error="The training process ran out of memory.")
    record(store, "vgg16", "RUNNING", epochs=1)
    record(store, "resnet18", "SCHEDULED")
    return root


def _use(root: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    shutil.copytree(root, target)
    store = Store(target).open()
    Background.of(os.getpid()).write(state_file(store))
    monkeypatch.setenv("ARENA_MLRUNS", str(target))
    return store


@pytest.fixture
def empty_store(empty_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    return _use(empty_root, tmp_path / "mlruns", monkeypatch)


@pytest.fixture
def filled_store(filled_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    return _use(filled_root, tmp_path / "mlruns", monkeypatch)


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Open a page as a new browser would, at an address; with `app`, follow a link in the same browser."""

    def open_page(page: str, app: AppTest | None = None, **query: str | list[str]) -> AppTest:
        app = app or AppTest.from_file(str(APP), default_timeout=120)
        app.query_params.clear()
        app.query_params.update(query)
        app.switch_page(f"app_pages/{page}.py")
        app.run()
        assert not app.exception
        return app

    return open_page
