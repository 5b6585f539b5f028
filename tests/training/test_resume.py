"""A run that was killed goes on and ends bit for bit as if nothing had happened."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from jobs.submission.requests import request_stop
from tests.training.conftest import TIMEOUT_S, Arena
from tracking import records, runs
from tracking.layout import REPOSITORY
from tracking.problems import StoreUnavailable
from tracking.series import read_series
from training.problems import BadCheckpoint, Stopped, StopRequested

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


def attempts(arena: Arena, endings: list[int], *all_of_them: tuple[list[str], dict[str, str]]) -> str:
    """Trains several times in a row, each with its own environment; returns what was printed."""
    command = [sys.executable, "-m", "tests.training.attempts", json.dumps(all_of_them)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env=arena.environment, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == endings, done.stderr
    return done.stdout + done.stderr


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
    """The last entry of every batch, and how many there are in all."""
    file = arena.store.root / f"diary-{run_id}-{rank}"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return sorted({tuple(place): [place, *rest] for place, *rest in lines}.values()), len(lines)


def assert_same_run(arena: Arena, whole: str, killed: str, validated_at: list[int]) -> None:
    one, other = last(arena, whole), last(arena, killed)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "random", "train_errors", "epoch"):
        assert_same(one[part], other[part], part)
    assert one["global_step"] == other["global_step"]
    keys = [f"{split}/{name}" for split in ("train", "val") for name in ("error_top1", "error_top5")]
    series = read_series(arena.store, [whole, killed], [*keys, "val/loss", "train/loss"])
    for key in [*keys, "val/loss"]:
        if key.startswith("val"):
            assert series[whole, key].steps.tolist() == validated_at
        assert series[whole, key].steps.tolist() == series[killed, key].steps.tolist(), key
        assert series[whole, key].values.tolist() == series[killed, key].values.tolist(), key
    assert np.all(np.diff(series[killed, "train/loss"].steps) > 0)
    best = [torch.load(arena.store.checkpoint_folder(run) / "best.ckpt") for run in (whole, killed)]
    assert_same(best[0]["state_dict"], best[1]["state_dict"])
    assert runs.get_run(arena.store, killed).status == "FINISHED"
    assert runs.get_run(arena.store, killed).ended_at is not None


@pytest.mark.fault("kill -9 of the training, five times", "the same run goes on, bit for bit as undisturbed")
def test_killed_five_times(bench: Arena) -> None:
    whole, killed = new_run(bench, "whole"), new_run(bench, "killed")
    chance = random.Random(seed := time.time_ns())
    fates = [f"0,{chance.randint(3, BATCHES)},{chance.randint(0, 60)}" for _ in range(KILLS)]
    settings = [*SETTINGS, *callbacks("Chance", "Diary", "Impatience"), "--run_id"]
    attempts(
        bench,
        [0, *[-9] * KILLS, 0],
        ([*settings, whole], {}),
        *(([*settings, killed], {"FATE": fate}) for fate in fates),
        ([*settings, killed], {}),
    )
    (steps, _), (again, entries) = read_diary(bench, whole), read_diary(bench, killed)
    assert again == steps and len(steps) == EPOCHS * BATCHES, (seed, fates)
    assert entries > len(steps), "no kill cost anything: this tests nothing"
    assert last(bench, whole)["lr_schedulers"][0]["last_epoch"] == EPOCHS
    assert_same_run(bench, whole, killed, [BATCHES * (epoch + 1) for epoch in range(EPOCHS)])


@pytest.mark.parametrize(
    ("settings", "validated_at", "stops"),
    [
        # In a validation, with the last batch of an epoch, with the first, in a validation made up for.
        (
            [*callbacks("Chance", "Diary", "Impatience"), "--model.ema_decay", "0.9"],
            [10, 20, 30, 40],
            ["val,2", "train,10", "val,4", "train,1", "val,1"],
        ),
        # Gradients of several batches and of fewer at an epoch's end; validations in the middle of every
        # other epoch, none after the rest; an end in the middle of the last.
        (
            [
                *("--trainer.accumulate_grad_batches", "4", "--trainer.val_check_interval", "5"),
                *("--trainer.check_val_every_n_epoch", "2", "--trainer.max_steps", "11"),
            ],
            [4, 6, 10],
            ["train,2", "train,6", "val,2", "train,4", "train,2"],
        ),
    ],
    ids=["plain", "accumulated"],
)
def test_stopped_at_any_moment(
    settings: Sequence[str], validated_at: list[int], stops: list[str], bench: Arena
) -> None:
    whole, stopped = new_run(bench, "whole"), new_run(bench, "stopped")
    rest = [*SETTINGS, *callbacks("Chance", "Diary"), *settings, "--run_id"]
    attempts(
        bench,
        [0, *[130] * len(stops), 0],
        ([*rest, whole], {}),
        *(([*rest, stopped], {"STOP": stop}) for stop in stops),
        ([*rest, stopped], {}),
    )
    (batches, _), (again, entries) = read_diary(bench, whole), read_diary(bench, stopped)
    assert again == batches and entries == len(batches), "a stop loses nothing"
    assert_same_run(bench, whole, stopped, validated_at)


def test_images_that_live_on_the_device_come_in_the_same_order(bench: Arena) -> None:
    """Pixels too: the losses are those of a run that reads them, also after a kill and after a stop."""
    read, resident = new_run(bench, "read"), new_run(bench, "resident")
    rest = [*SETTINGS, "--data.augmentation", "mixup"]
    on_device = [*rest, *callbacks("OnDevice", "Chance", "Diary"), "--run_id", resident]
    attempts(
        bench,
        [0, -9, 130, 0],
        ([*rest, *callbacks("Chance", "Diary"), "--run_id", read], {}),
        (on_device, {"FATE": "0,6,20"}),
        (on_device, {"STOP": "val,1"}),
        (on_device, {}),
    )
    (batches, _), (again, entries) = read_diary(bench, read), read_diary(bench, resident)
    assert again == batches and entries >= len(batches)
    assert_same_run(bench, read, resident, [BATCHES * (epoch + 1) for epoch in range(EPOCHS)])


@pytest.mark.fault("newest checkpoint truncated, then a full disk", "goes on from the one before and says so")
def test_a_damaged_checkpoint_and_a_full_disk(bench: Arena) -> None:
    whole, unlucky = new_run(bench, "whole"), new_run(bench, "unlucky")
    rest = [*SETTINGS, *callbacks("Chance", "Diary"), "--checkpoint_interval_s", "0", "--run_id"]
    attempts(bench, [130, 0], ([*rest, unlucky], {"STOP": "train,6"}), ([*rest, whole], {}))
    file = bench.store.checkpoint_folder(unlucky) / "last.ckpt"
    file.write_bytes(file.read_bytes()[:1000])
    full = [*SETTINGS, *callbacks("Chance", "Diary", "FullDisk"), *rest[-3:]]
    printed = attempts(bench, [2], ([*full, unlucky], {}))
    assert f"{file} is damaged" in printed and "Continuing after step 5" in printed
    run = runs.get_run(bench.store, unlucky)
    assert run.status == "FAILED" and str(file) in run.tags["checkpoint.damaged"]
    assert run.error == str(StoreUnavailable(BadCheckpoint.NOT_WRITTEN, file=file, said="file too large"))
    printed = attempts(bench, [0], ([*rest, unlucky], {}))
    assert "Continuing after step 8" in printed and runs.get_run(bench.store, unlucky).error == ""
    assert_same_run(bench, whole, unlucky, [10, 20, 30, 40])


def test_stopped_before_anything_is_learnt(bench: Arena) -> None:
    waiting, early, late = (new_run(bench, name) for name in ("waiting", "early", "late"))
    rest = [*SETTINGS, *callbacks("Diary", "Reluctance"), "--run_id"]
    request_stop(bench.store, waiting)
    attempts(
        bench,
        [130, 130, 130, 130],
        ([*rest, waiting], {"PHASE": "none"}),
        ([*rest, early], {"PHASE": "setup"}),
        ([*rest, early], {"PHASE": "device"}),
        ([*rest, late], {"PHASE": "first batch"}),
    )
    for run_id in (waiting, early, late):
        assert runs.get_run(bench.store, run_id).status == "KILLED"
        assert not bench.store.checkpoint_folder(run_id).exists()


@pytest.mark.fault("kill -9 of one DDP rank, of either", "all ranks end; the run goes on bit for bit")
def test_killed_five_times_under_ddp(bench: Arena) -> None:
    """One of two processes is asked to stop in a validation, and both do; then either is killed, the other
    notices, and both go on; so does the average of the weights."""
    whole, killed = new_run(bench, "whole"), new_run(bench, "killed")
    chance = random.Random(seed := time.time_ns())
    fates = [f"{kill % 2},{chance.randint(5, 12)},{chance.randint(0, 60)}" for kill in range(KILLS)]
    strategy = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--model.ema_decay", "0.9"]
    settings = [*SETTINGS, *callbacks("Chance", "Diary", "Talkative"), *strategy, "--run_id"]
    # The first process is killed every other time, and otherwise fails for want of the second.
    printed = attempts(
        bench,
        [0, 130, *(-9 if fate.startswith("0") else 1 for fate in fates), 0],
        ([*settings, whole], {"WORLD_SIZE": "2"}),
        ([*settings, killed], {"WORLD_SIZE": "2", "STOP": "val,2"}),
        *(([*settings, killed], {"WORLD_SIZE": "2", "FATE": fate}) for fate in fates),
        ([*settings, killed], {"WORLD_SIZE": "2"}),
    )
    assert str(StopRequested(Stopped.IN_VALIDATION, step=10)) in printed
    for rank in (0, 1):
        (steps, _), (again, entries) = read_diary(bench, whole, rank), read_diary(bench, killed, rank)
        assert again == steps and len(steps) == EPOCHS * BATCHES, (seed, fates)
        assert entries > len(steps), "no kill cost anything: this tests nothing"
    assert_same_run(bench, whole, killed, [BATCHES * (epoch + 1) for epoch in range(EPOCHS)])
    one, other = last(bench, whole), last(bench, killed)
    for part in ("current_model_state", "averaging_state"):
        assert_same(one[part], other[part], part)
    weight = "network.fc.weight"
    assert not torch.equal(one["state_dict"][weight], one["current_model_state"][weight])
