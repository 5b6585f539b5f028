"""`python -m training fit` from start to end, and everything that can go wrong on the way."""

import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
import yaml

from datamodules.imagenet import ImageNetDataModule
from jobs.submission.requests import request_stop
from jobs.submission.spec import JobSpec
from tests.training.conftest import TIMEOUT_S, Arena
from tracking import records, runs
from tracking.series import read_series
from training.problems import FAILURE, Failure

SMALL = (
    *("--model.architecture", "resnet18", "--data.image_size", "32", "--trainer.limit_train_batches", "4"),
    *("--trainer.limit_val_batches", "2", "--data.batch_size", "16"),
)
ENDLESS = ("--model.architecture", "resnet18", "--data.image_size", "32", "--trainer.max_epochs", "1000")


def wait_for(condition, seconds: float = TIMEOUT_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def has_trained(arena: Arena) -> bool:
    found = runs.list_runs(arena.store)
    return bool(found) and "train/loss" in found[0].metrics


def test_a_whole_run_is_in_mlflow(arena: Arena) -> None:
    done = arena.fit(*SMALL, "--trainer.max_epochs", "2", "--seed_everything", "3")
    assert done.returncode == 0, done.stderr
    run = arena.run
    assert run.status == "FINISHED" and run.progress == 1.0 and run.ended_at is not None
    assert run.name.startswith("resnet18-digits-")
    for metric in ("loss", "error_top1", "error_top5"):
        for split in ("train", "val"):
            assert f"{split}/{metric}" in run.metrics
    assert 0 <= run.metrics["val/error_top5"] <= run.metrics["val/error_top1"] <= 100
    assert run.metrics["train/images_per_s"] > 0
    assert run.data_wait is not None and 0 < run.data_wait < 100
    # Parameters with 10 classes: those of the paper's network less 990 classes of 512 weights and a bias.
    expected = {
        "network.parameters": str(11_689_512 - 990 * 513),
        "steps_total": "8",
        "steps_per_epoch": "4",
        "images_per_step": "16",
        "train_images": "1433",
        "val_images": "364",
        "recipe.augmentation": "light",
        "seed_everything": "3",
        "trainer.max_epochs": "2",
    }
    assert {key: run.params[key] for key in expected} == expected
    assert run.tags["data.manifest"] == ImageNetDataModule().manifest
    val = read_series(arena.store, [run.run_id], ["val/error_top1"])[run.run_id, "val/error_top1"]
    assert val.steps.tolist() == [4, 8]
    assert done.stdout.count("top-1 error") == 2
    assert not [line for line in done.stderr.splitlines() if "Warning" in line or "litlogger" in line.lower()]
    last = arena.store.checkpoint_folder(run.run_id) / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 8


def test_a_submitted_run_is_continued_not_copied(arena: Arena, tmp_path: Path) -> None:
    (config,) = JobSpec(("resnet18",), epochs=1, batch_size=64, image_size=32).configs()
    run_id = records.create_run(arena.store, config)
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(config))
    done = arena.fit("--config", str(file), "--run_id", run_id, "--trainer.limit_train_batches", "2")
    assert done.returncode == 0, done.stderr
    assert arena.run.run_id == run_id and arena.run.status == "FINISHED"
    assert arena.run.started_at is not None


def test_the_network_has_an_output_for_each_chosen_class(arena: Arena) -> None:
    done = arena.fit(*SMALL, "--trainer.max_epochs", "1", "--data.classes", "[3,8,9]")
    assert done.returncode == 0, done.stderr
    assert arena.run.params["data.classes"] == "[3, 8, 9]"
    last = arena.store.checkpoint_folder(arena.run.run_id) / "last.ckpt"
    assert torch.load(last, weights_only=True)["state_dict"]["network.fc.bias"].shape == (3,)


def test_a_run_starts_from_another(arena: Arena) -> None:
    assert arena.fit(*SMALL).returncode == 0
    first = arena.run
    done = arena.fit(*SMALL, "--model.weights", first.name, "--model.learning_rate", "1e-9")
    assert done.returncode == 0, done.stderr
    second = next(run for run in runs.list_runs(arena.store) if run.run_id != first.run_id)
    best = arena.store.checkpoint_folder(first.run_id) / "best.ckpt"
    assert second.params["model.weights"] == first.name
    assert second.params["weights.run"] == first.run_id
    assert second.params["weights.source"] == str(best) and f"Started from {best}" in done.stdout
    assert len(second.params["weights.sha256"]) == 64 and "weights.new_layers" not in second.params
    last = arena.store.checkpoint_folder(second.run_id) / "last.ckpt"
    before, after = (torch.load(file, weights_only=True)["state_dict"] for file in (best, last))
    torch.testing.assert_close(after["network.fc.weight"], before["network.fc.weight"], rtol=0, atol=1e-6)


def test_the_same_seed_gives_the_same_run(arena: Arena) -> None:
    settings = (*SMALL, "--trainer.max_epochs", "1", "--trainer.precision", "32-true")
    values = []
    for seed in ("7", "7", "8"):
        assert arena.fit(*settings, "--seed_everything", seed).returncode == 0
        (latest, *_) = runs.list_runs(arena.store)
        values.append((latest.metrics["train/loss"], latest.metrics["val/loss"]))
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true", "bf16-true"])
def test_precision_is_a_flag_away(precision: str, arena: Arena) -> None:
    done = arena.fit(*SMALL, "--trainer.precision", precision, "--trainer.accumulate_grad_batches", "2")
    assert done.returncode == 0, done.stderr
    assert arena.run.params["precision"] == precision
    assert arena.run.params["images_per_step"] == "32" and arena.run.params["steps_total"] == "2"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model.architecture", "resnet19"], "did you mean resnet18"),
        (["--data.image_size", "16"], "too small for ResNet-18"),
        (["--data.source", "folder", "--data.root", "/nowhere"], "/nowhere"),
        (["--model.weights", "/nowhere/best.ckpt"], "/nowhere/best.ckpt"),
        (["--model.weights", __file__], "test_fit.py"),
        (
            ["--model.architecture", "alexnet", "--model.weights", "torchvision"],
            "AlexNet",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(arguments: list[str], sentence: str, arena: Arena) -> None:
    done = arena.fit("--data.image_size", "64", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert arena.run.status == "FAILED" and sentence in arena.run.error
    assert arena.run.tags[FAILURE] == (Failure.DATA if "folder" in arguments else Failure.SETTINGS)


def test_a_loss_that_is_no_number_fails(arena: Arena) -> None:
    done = arena.fit(*SMALL, "--model.learning_rate", "1e20", "--trainer.max_epochs", "3")
    assert done.returncode == 2
    assert arena.run.status == "FAILED"
    assert arena.run.tags[FAILURE] == Failure.NAN and "the loss is" in arena.run.error


@pytest.mark.parametrize("limit", ["0.01", "0"])
def test_unreadable_images_are_counted_and_named(limit: str, arena: Arena, tmp_path: Path) -> None:
    from tests.datamodules.conftest import cut_off, picture

    for split in ("train", "val"):
        for label, name in enumerate(("n01440764", "n02102040")):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(8):
                picture(label, number).save(tmp_path / "images" / split / name / f"{number}.JPEG")
    bad = [tmp_path / "images" / split / "n01440764" / "3.JPEG" for split in ("train", "val")]
    for file in bad:
        cut_off(file)
    done = arena.fit(
        *("--data.source", "folder", "--data.root", str(tmp_path / "images"), "--data.batch_size", "8"),
        *("--model.architecture", "resnet18", "--data.image_size", "32", "--trainer.max_epochs", "2"),
        *("--data.max_unreadable", limit),
    )
    tags = arena.run.tags
    if limit == "0":
        assert (done.returncode, arena.run.status) == (2, "FAILED")
        assert tags[FAILURE] == Failure.DATA and "3.JPEG" in arena.run.error
        assert tags["data.skipped"] == "1" and str(bad[0]) in tags["data.skipped_files"]
        return
    assert done.returncode == 0, done.stderr
    assert arena.run.status == "FINISHED" and tags["data.skipped"] == "2"
    assert tags["data.skipped_train"] == tags["data.skipped_val"] == "1"
    for file in bad:
        assert str(file) in arena.run.tags["data.skipped_files"] and f"Skipped: {file}" in done.stdout


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "request"])
def test_a_stop_saves_what_was_learned(how: str, arena: Arena) -> None:
    process = arena.start(*ENDLESS)
    wait_for(lambda: has_trained(arena))
    if how == "request":
        request_stop(arena.store, arena.run.run_id)
    else:
        process.send_signal(signal.Signals[how])
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 130, complained
    assert "on request" in complained.splitlines()[-1]
    run = arena.run
    assert run.status == "KILLED" and run.ended_at is not None
    saved = torch.load(arena.store.checkpoint_folder(run.run_id) / "last.ckpt", weights_only=True)
    assert saved["global_step"] >= run.step > 0


def test_a_kill_leaves_the_metrics_that_were_logged(arena: Arena) -> None:
    process = arena.start(*ENDLESS)
    wait_for(lambda: has_trained(arena))
    process.kill()
    process.communicate(timeout=60)
    assert arena.run.status == "RUNNING" and arena.run.metrics["train/loss"] > 0


def test_a_store_that_vanishes_is_one_sentence(arena: Arena) -> None:
    shutil.rmtree(arena.store.root)
    arena.store.root.write_text("not a folder")
    done = arena.fit(*SMALL)
    assert done.returncode == 2 and "is not a folder" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
