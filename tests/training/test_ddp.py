"""Two processes under DDP (gloo) learn what one process learns from batches twice as large."""

import json
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.datamodules.conftest import cut_off, picture
from tests.training.conftest import TIMEOUT_S, Arena
from tracking import records, runs
from tracking.scaling import COMPARED_WITH, EFFICIENCY, SPEED
from tracking.series import read_series
from training.checkpoint_files import LAST, read
from training.problems import FAILURE, Failure

SETTINGS = (
    *("--model.architecture", "alexnet", "--data.image_size", "64", "--trainer.accelerator", "cpu"),
    *("--trainer.precision", "64-true", "--trainer.callbacks", "tests.training.probe.Probe"),
    *("--trainer.max_epochs", "2", "--trainer.limit_train_batches", "6"),
)
METRICS = ("train/error_top1", "train/error_top5", "val/loss", "val/error_top1", "val/error_top5")


def train(arena: Arena, *arguments: str) -> tuple[list[float], dict[str, float]]:
    file = arena.store.root / "losses.json"
    arena.environment["PROBE_FILE"] = str(file)
    done = arena.fit(*SETTINGS, *arguments)
    assert done.returncode == 0, done.stderr
    assert arena.run.status == "FINISHED"
    return json.loads(file.read_text()), arena.run.metrics


def start_both(arena: Arena, *arguments: str) -> "list[subprocess.Popen[str]]":
    """As `srun` and `torchrun` do: the second process is not told which run the first has created."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    both = []
    for rank in range(2):
        arena.environment |= meeting | {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
        both.append(arena.start(*arguments))
    return both


def test_the_same_losses(arena: Arena) -> None:
    losses, metrics = train(arena, "--data.batch_size", "16")
    alone = arena.run
    records.delete_run(arena.store, alone.run_id)
    shared, shared_metrics = train(
        arena, "--data.batch_size", "8", "--trainer.devices", "2", "--trainer.strategy", "ddp"
    )
    assert alone.params["world_size"] == "1" and arena.run.params["world_size"] == "2"
    assert alone.params["images_per_step"] == arena.run.params["images_per_step"] == "16"
    assert arena.run.tags[COMPARED_WITH] == "" and EFFICIENCY not in shared_metrics, "unmeasured"
    assert len(losses) == 12 and losses[0] != pytest.approx(losses[-1], rel=1e-4)
    assert shared == pytest.approx(losses, rel=1e-9)
    for metric in METRICS:
        assert shared_metrics[metric] == pytest.approx(metrics[metric], rel=1e-6), metric


def test_each_validation_image_counts_once(arena: Arena) -> None:
    """109 images, batches of 6: one of two processes has ten batches, the other nine."""
    file = arena.store.root / "found.json"
    arena.environment |= {"PROBE_FILE": str(file), "OMP_NUM_THREADS": "1"}
    both = start_both(
        arena,
        *("--model.architecture", "cifar_resnet20", "--data.image_size", "32", "--data.classes", "3"),
        *("--data.batch_size", "6", "--trainer.limit_train_batches", "3", "--trainer.log_every_n_steps", "3"),
        *("--trainer.precision", "64-true", "--trainer.callbacks", "tests.training.probe.Recount"),
        *("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"),
    )
    complaints = [process.communicate(timeout=TIMEOUT_S)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], complaints
    assert arena.run.status == "FINISHED"
    found = json.loads(file.read_text())
    assert (found["images"], found["batches"]) == (109, 10)
    assert found["val/error_top1"] == pytest.approx(found["alone/error"], abs=1e-4)
    assert found["val/loss"] == pytest.approx(found["alone/loss"], rel=1e-6)


def test_processes_talk_only_while_the_network_is_on_its_device(arena: Arena) -> None:
    file = arena.store.root / "collectives.json"
    arena.environment |= {"PROBE_FILE": str(file), "OMP_NUM_THREADS": "1"}
    done = arena.fit(
        *("--model.architecture", "cifar_resnet20", "--data.image_size", "32", "--data.batch_size", "8"),
        *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "3"),
        *("--trainer.limit_val_batches", "2", "--trainer.accelerator", "cpu", "--trainer.devices", "2"),
        *("--trainer.strategy", "ddp", "--trainer.callbacks", "tests.training.probe.Collectives"),
    )
    assert (done.returncode, arena.run.status) == (0, "FINISHED"), done.stderr
    calls, refused = json.loads(file.read_text())
    assert calls > 10 and refused == []
    last = read(arena.store.checkpoint_folder(arena.run.run_id) / LAST)
    assert last["global_step"] == 3 and len(last["random"]) == 2


def test_a_process_that_fails_does_not_take_leave_of_the_others(arena: Arena) -> None:
    """NCCL would wait for them, perhaps for half an hour."""
    arena.environment |= {"PROBE_FILE": str(arena.store.root / "farewell"), "OMP_NUM_THREADS": "1"}
    done = arena.fit(
        *("--model.architecture", "cifar_resnet20", "--data.image_size", "32", "--data.batch_size", "8"),
        *("--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.devices", "2"),
        *("--trainer.strategy", "ddp", "--trainer.callbacks", "tests.training.probe.Grudge"),
    )
    assert (done.returncode, arena.run.status) == (1, "FAILED")
    assert arena.run.error == "Rank 1: RuntimeError: a fault of the second"
    assert arena.run.tags[FAILURE] == Failure.OTHER
    assert list(arena.store.root.glob("farewell-*")) == []


def test_scaling_is_measured_against_one_device(arena: Arena) -> None:
    arena.environment["OMP_NUM_THREADS"] = "1"
    small = (
        *("--model.architecture", "cifar_resnet20", "--data.image_size", "32", "--data.batch_size", "8"),
        *("--trainer.max_epochs", "1", "--trainer.limit_val_batches", "1"),
        *("--trainer.limit_train_batches", "4"),
        *("--trainer.log_every_n_steps", "2", "--trainer.accelerator", "cpu"),
    )
    for devices in ((), ("--trainer.devices", "2", "--trainer.strategy", "ddp")):
        done = arena.fit(*small, *devices)
        assert done.returncode == 0, done.stderr
    both, alone = runs.list_runs(arena.store)
    assert both.tags[COMPARED_WITH] == alone.name and EFFICIENCY not in alone.metrics
    assert f"Scaling efficiency is relative to {alone.name}" in done.stdout
    found = read_series(arena.store, [alone.run_id, both.run_id], [SPEED, EFFICIENCY])
    speeds = found[both.run_id, SPEED].values
    assert len(speeds) == 2 and (speeds > 0).all()
    percent = 100 * speeds / (2 * np.median(found[alone.run_id, SPEED].values))
    assert found[both.run_id, EFFICIENCY].values == pytest.approx(percent)


def test_what_all_processes_together_cannot_read_counts(arena: Arena, tmp_path: Path) -> None:
    """Neither of two has met more than the limit by itself when both together have."""
    for split in ("train", "val"):
        for label, name in enumerate(("n01440764", "n02102040")):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(32):
                picture(label, number).save(tmp_path / split / name / f"{number:02}.JPEG")
    for number in range(0, 32, 6):
        cut_off(tmp_path / "train" / "n01440764" / f"{number:02}.JPEG")
    done = arena.fit(
        *("--data.source", "folder", "--data.root", str(tmp_path), "--data.batch_size", "4"),
        *("--model.architecture", "resnet18", "--data.image_size", "32", "--trainer.max_epochs", "20"),
        *("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"),
        *("--trainer.log_every_n_steps", "2", "--data.max_unreadable", "5"),
    )
    assert (done.returncode, arena.run.status) == (2, "FAILED"), done.stderr
    assert arena.run.tags[FAILURE] == Failure.DATA and "6 of 64" in arena.run.error
    assert arena.run.tags["data.skipped"] == "6"
