"""Two processes under DDP (gloo) learn what one process learns from batches twice as large."""

import json

import pytest

from tests.training.conftest import Arena
from tracking import records

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


def test_the_same_losses(arena: Arena) -> None:
    losses, metrics = train(arena, "--data.batch_size", "16")
    alone = arena.run
    records.delete_run(arena.store, alone.run_id)
    shared, shared_metrics = train(
        arena, "--data.batch_size", "8", "--trainer.devices", "2", "--trainer.strategy", "ddp"
    )
    assert alone.params["world_size"] == "1" and arena.run.params["world_size"] == "2"
    assert alone.params["images_per_step"] == arena.run.params["images_per_step"] == "16"
    assert len(losses) == 12 and losses[0] != pytest.approx(losses[-1], rel=1e-4)
    assert shared == pytest.approx(losses, rel=1e-9)
    for metric in METRICS:
        assert shared_metrics[metric] == pytest.approx(metrics[metric], rel=1e-6), metric
