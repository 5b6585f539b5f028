"""A run that was killed goes on and ends bit for bit as if nothing had happened."""

import json
import random
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.conftest import TIMEOUT_S, Arena
from tracking import records, runs
from tracking.series import read_series
from tracking.store import REPOSITORY

EPOCHS, BATCHES = 4, 10
SETTINGS = (
    *("--model.architecture", "cifar_resnet20", "--data.image_size", "32", "--data.batch_size", "16"),
    *("--trainer.accelerator", "cpu", "--trainer.precision", "32-true", "--trainer.limit_val_batches", "3"),
    *("--trainer.max_epochs", str(EPOCHS), "--trainer.limit_train_batches", str(BATCHES)),
    *("--trainer.log_every_n_steps", "2", "--checkpoint_interval_s", "0.2"),
)
KILLS = 5


@pytest.fixture
def bench(arena: Arena) -> Arena:
    # One thread each: several would wait for one another wherever the cores have something else to do.
    arena.environment |= {"OMP_NUM_THREADS": "1", "DIARY": str(arena.store.root / "diary")}
    return arena


def callbacks(*names: str) -> list[str]:
    return ["--trainer.callbacks", json.dumps([f"tests.training.probe.{name}" for name in names])]


def new_run(arena: Arena, name: str) -> str:
    return records.create_run(arena.store, {"model": {}, "data": {}}, name=name)


def attempts(arena: Arena, *all_of_them: tuple[list[str], dict[str, str]]) -> list[int]:
    command = [sys.executable, "-m", "tests.training.attempts", json.dumps(all_of_them)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env=arena.environment, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    endings: list[int] = json.loads(done.stderr.splitlines()[-1])
    return endings


def last(arena: Arena, run_id: str) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(
        arena.store.checkpoint_folder(run_id) / "last.ckpt", weights_only=True
    )
    return checkpoint


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Bit for bit, down to every number of optimiser and schedule."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_same(value, other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{where}[{index}]")
    else:
        assert one == other, where


def read_diary(arena: Arena, run_id: str, rank: int = 0) -> tuple[list[Any], int]:
    """The last entry of every step, and how many there are in all."""
    file = arena.store.root / f"diary-{run_id}-{rank}"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return sorted({step: [step, *rest] for step, *rest in lines}.values()), len(lines)


def assert_same_run(arena: Arena, whole: str, killed: str) -> None:
    one, other = last(arena, whole), last(arena, killed)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "random", "train_errors", "epoch"):
        assert_same(one[part], other[part], part)
    assert one["global_step"] == other["global_step"] == EPOCHS * BATCHES
    keys = [f"{split}/{name}" for split in ("train", "val") for name in ("error_top1", "error_top5")]
    series = read_series(arena.store, [whole, killed], [*keys, "val/loss", "train/loss"])
    for key in [*keys, "val/loss"]:
        assert series[whole, key].steps.tolist() == [BATCHES * (epoch + 1) for epoch in range(EPOCHS)]
        assert series[whole, key].steps.tolist() == series[killed, key].steps.tolist()
        assert series[whole, key].values.tolist() == series[killed, key].values.tolist(), key
    assert np.all(np.diff(series[killed, "train/loss"].steps) > 0)
    best = [torch.load(arena.store.checkpoint_folder(run) / "best.ckpt") for run in (whole, killed)]
    assert_same(best[0]["state_dict"], best[1]["state_dict"])
    assert runs.get_run(arena.store, killed).status == "FINISHED"
    assert runs.get_run(arena.store, killed).ended_at is not None


def test_killed_five_times(bench: Arena) -> None:
    whole, killed = new_run(bench, "whole"), new_run(bench, "killed")
    chance = random.Random(seed := time.time_ns())
    fates = [f"0,{chance.randint(3, BATCHES)},{chance.randint(0, 60)}" for _ in range(KILLS)]
    settings = [*SETTINGS, *callbacks("Chance", "Diary", "Impatience"), "--run_id"]
    endings = attempts(
        bench,
        ([*settings, whole], {}),
        *(([*settings, killed], {"FATE": fate}) for fate in fates),
        ([*settings, killed], {}),
    )
    assert endings == [0, *[-9] * KILLS, 0], (seed, fates)
    (steps, _), (again, entries) = read_diary(bench, whole), read_diary(bench, killed)
    assert again == steps and len(steps) == EPOCHS * BATCHES, (seed, fates)
    assert entries > len(steps), "no kill cost anything: this tests nothing"
    assert last(bench, whole)["lr_schedulers"][0]["last_epoch"] == EPOCHS
    assert_same_run(bench, whole, killed)


def test_killed_under_ddp(bench: Arena) -> None:
    """Either process is killed, the other notices, and both go on."""
    whole, killed = new_run(bench, "whole"), new_run(bench, "killed")
    settings = [
        *SETTINGS,
        *callbacks("Chance", "Diary"),
        "--trainer.devices",
        "2",
        "--trainer.strategy",
        "ddp",
    ]
    assert bench.fit(*settings, "--run_id", whole).returncode == 0
    for fate in ("0,7,10", "1,13,0"):
        bench.environment["FATE"] = fate
        assert bench.fit(*settings, "--run_id", killed).returncode != 0
    del bench.environment["FATE"]
    done = bench.fit(*settings, "--run_id", killed)
    assert done.returncode == 0, done.stderr
    assert "goes on after step" in done.stdout
    for rank in (0, 1):
        (steps, _), (again, entries) = read_diary(bench, whole, rank), read_diary(bench, killed, rank)
        assert again == steps and len(steps) == EPOCHS * BATCHES
        assert entries > len(steps), "no kill cost anything: this tests nothing"
    assert_same_run(bench, whole, killed)
