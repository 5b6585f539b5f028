"""Several machines, one record: PostgreSQL and S3 behind MLflow's server, which may go away at any time."""

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from dashboard.__main__ import farewell
from dashboard.runs.board import forget_runs, read_board, read_runs
from jobs.host.machine import describe_machine
from jobs.host.mlflow_ui import ensure_mlflow_ui
from jobs.scheduling import queue
from jobs.submission import requests
from jobs.submission.submit import submit
from jobs.supervision.supervisor import ensure_supervisor, stop_supervisor
from tests.dashboard.conftest import APP
from tests.team.conftest import Team
from tests.team.gate import TIMEOUT_S, wait_for_file
from tracking import client, records, runs
from tracking.layout import REPOSITORY
from tracking.problems import StoreUnavailable
from tracking.store import Store

BATCHES, EPOCHS = 3, 5
LOST, BACK = 1, 3  # before these epochs the server goes and comes


def configuration(gates: list[int]) -> dict[str, object]:
    trainer = {
        "max_epochs": EPOCHS,
        "accelerator": "cpu",
        "precision": "32-true",
        "limit_train_batches": BATCHES,
        "limit_val_batches": 1,
        "callbacks": [{"class_path": "tests.team.gate.Gate", "init_args": {"epochs": gates}}],
    }
    return {
        "seed_everything": 0,
        "trainer": trainer,
        "model": {"architecture": "cifar_resnet20"},
        "data": {"source": "digits", "image_size": 32, "batch_size": 16, "num_workers": 0},
    }


def gate(store: Store, run_id: str, epoch: int, suffix: str) -> Path:
    return store.root / "gates" / f"{run_id}-{epoch}.{suffix}"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def has_ended(store: Store, run_id: str) -> bool:
    return runs.get_run(store, run_id).is_terminal


def steps(store: Store, run_id: str, key: str) -> list[int]:
    """Of every point that MLflow holds."""
    points = client.read_points(store, [(run_id, key)])[run_id, key]
    return [step for step, _, _ in sorted(points, key=lambda point: (point[2], point[0]))]


def check_uploaded(store: Store, run_id: str, folder: Path) -> None:
    """The checkpoint has arrived as it is here."""
    arrived = Path(client.client(store).download_artifacts(run_id, "checkpoints/best.ckpt", str(folder)))
    assert arrived.read_bytes() == (store.checkpoint_folder(run_id) / "best.ckpt").read_bytes()


def check_complete(store: Store, run_id: str) -> None:
    run = runs.get_run(store, run_id)
    assert (run.status, run.error, run.progress) == ("FINISHED", "", 1.0)
    assert run.ended_at is not None and run.ended_at < time.time()
    assert run.number("steps_total") == BATCHES * EPOCHS and run.parameters
    for key in ("val/loss", "val/error_top1", "train/error_top1"):
        assert steps(store, run_id, key) == [BATCHES * epoch for epoch in range(1, EPOCHS + 1)], key
    # Every few seconds too, where the machine is slow: in order and once is what counts.
    found = steps(store, run_id, "train/loss")
    assert found == sorted(set(found)) and set(found) >= set(steps(store, run_id, "val/loss"))


@pytest.mark.fault("tracking server killed in a training, started later", "all metrics there, once, in order")
def test_a_training_outlives_its_server(team: Team, store: Store, tmp_path: Path) -> None:
    run_id = submit(store, configuration([LOST, BACK]), check=False, name="outlived")
    ensure_supervisor(store)
    wait_for_file(gate(store, run_id, LOST, "here"))
    until(lambda: steps(store, run_id, "val/loss") == [BATCHES])
    assert runs.get_run(store, run_id).status == "RUNNING"
    # Another member reads the configuration from the S3 store, and looks after none of our jobs.
    other = Store(store.root.with_name("other"), team.url).open()
    assert "cifar_resnet20" in runs.read_config(other, run_id)
    assert not runs.is_ours(other, runs.get_run(other, run_id))
    team.crash()
    gate(store, run_id, LOST, "go").touch()
    wait_for_file(gate(store, run_id, BACK, "here"))
    with pytest.raises(StoreUnavailable, match="does not answer"):
        runs.list_runs(store)
    assert "does not answer" in farewell(store)
    stop_supervisor(store)
    ensure_supervisor(store)  # as `make run` does; it waits for the server, and then uploads
    team.start()
    gate(store, run_id, BACK, "go").touch()
    until(lambda: has_ended(store, run_id))
    check_complete(store, run_id)
    until(lambda: not list(store.spool.iterdir()))
    check_uploaded(store, run_id, tmp_path)


def test_the_board_of_a_server_follows_what_changes(store: Store) -> None:
    names = [run.name for run in read_runs(store)]
    assert "outlived" in names
    run_id = records.create_run(store, configuration([]), name="brief", status="RUNNING")
    assert [run.name for run in read_runs(store)] == ["brief", *names]
    records.set_status(store, run_id, "FAILED")
    assert [run.status for run in read_runs(store)][:1] == ["FAILED"]
    assert [run.name for run in runs.list_runs(store, ["FAILED", "KILLED"])] == ["brief"]
    requests.delete_run(store, run_id)
    forget_runs(store)
    assert [run.name for run in read_runs(store)] == names


@pytest.fixture
def theirs(team: Team, store: Store) -> Iterator[str]:
    """A run of another member, on that one's own machine."""
    other = Store(store.root.with_name("other"), team.url).open()
    run_id = records.create_run(other, configuration([]), name="theirs", status="RUNNING")
    records.set_tags(other, run_id, {"job.slots": describe_machine().slots[0]})
    yield run_id
    records.set_status(other, run_id, "KILLED")


def test_others_take_no_slots_here(store: Store, theirs: str) -> None:
    ours = records.create_run(store, configuration([]), name="ours", tags={queue.HELD: "yes"})
    board = read_board(store)
    assert ([run.name for run in board.others], board.running) == (["theirs"], [])
    assert [run.name for run in board.active] == [run.name for run in board.queued] == ["ours"]
    assert theirs not in board.forecast(describe_machine())
    assert board.summary == "1 queued · 1 elsewhere"
    requests.request_stop(store, ours)
    until(lambda: has_ended(store, ours))


def test_what_others_run_is_shown_as_theirs(store: Store, theirs: str) -> None:
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page("app_pages/runs.py")
    app.run()
    assert "On other machines" in "\n".join(caption.value for caption in app.caption)
    assert f":gray[on {platform.node()}]" in [text.value for text in app.markdown]
    assert not app.get("progress")  # of what runs here


@pytest.mark.parametrize("page", ["home", "runs", "compare"])
def test_pages_show_what_the_server_holds(page: str, store: Store) -> None:
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page(f"app_pages/{page}.py")
    app.run()
    assert not app.exception and [error.value for error in app.error] == []
    assert ensure_mlflow_ui(store) == store.server


@pytest.mark.fault("tracking server gone for good", "exit code 0; all delivered at the next contact")
def test_a_training_ends_well_without_its_server(team: Team, store: Store, tmp_path: Path) -> None:
    stop_supervisor(store)
    file = store.root / "run.yaml"
    file.write_text(yaml.safe_dump(configuration([LOST])), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "fit", "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
    )
    # MLflow says RUNNING of one that is not complete yet, too.
    until(lambda: any("job.pid" in run.tags for run in runs.list_runs(store, ["RUNNING"])))
    (run,) = runs.list_runs(store, ["RUNNING"])
    wait_for_file(gate(store, run.run_id, LOST, "here"))
    team.crash()
    gate(store, run.run_id, LOST, "go").touch()
    printed, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, printed
    (spool,) = store.spool.glob("*.jsonl")
    # Of what was recorded just before, some may have been on its way.
    assert spool.stem == run.run_id and spool.read_text().count("val/loss") >= EPOCHS - LOST
    team.start()
    with pytest.raises(ValueError, match="is FINISHED; only a run that failed or was stopped"):
        requests.resume(store, run.run_id)  # whoever asks first delivers
    check_complete(store, run.run_id)
    assert [file.name for file in store.spool.iterdir()] == [f"{run.run_id}.upload"]
    subprocess.run([sys.executable, "-m", "jobs", "deliver"], check=True, cwd=REPOSITORY)
    check_uploaded(store, run.run_id, tmp_path)
    assert list(store.spool.iterdir()) == []
