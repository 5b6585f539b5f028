"""What cannot work is found out before anything starts."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.errors import DataError
from jobs.submission.spec import JobSpec
from lightning_modules import registry
from lightning_modules.classifier import ImageClassifier
from tracking import records
from tracking.store import Store
from training.config_check import check_config
from training.starting import find_weights


def config(architecture: str = "resnet18", **changes: Any) -> dict[str, Any]:
    (config,) = JobSpec((architecture,)).configs()
    for path, value in changes.items():
        section, _, key = path.partition("__")
        config[section] = {**config[section], key: value} if key else value
    return config


@pytest.mark.parametrize("architecture", registry.architectures())
@pytest.mark.parametrize("recipe", ["paper", "modern", "quick"])
def test_what_the_form_offers_works(architecture: str, recipe: str) -> None:
    network = registry.get(architecture)
    image_size = max(64, network.minimum_size)
    batch_size = min(256, network.get_recipe(recipe).batch_size)  # there are not many digits
    (form,) = JobSpec(
        (architecture,), recipe=(recipe,), image_size=image_size, batch_size=batch_size
    ).configs()
    check_config(form)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model__architecture": "lenet"}, r"no architecture 'lenet'"),
        ({"model__recipe": "slow"}, r"no recipe 'slow'"),
        ({"model__options": {"depth": "3"}}, r"no option 'depth'"),
        ({"data__image_size": 31}, r"image_size is 31, too small .* 32 is the smallest"),
        ({"data__image_size": "big"}, r"image_size"),
        ({"data__batch_size": 0}, r"batch_size is 0"),
        ({"data__colour": "red"}, r"colour"),
        ({"data__classes": 11}, r"classes is 11; choose from 2 to 10"),
        ({"data__classes": ["3", "cat"]}, r"There is no class 'cat'"),
        ({"data__classes": "all"}, r"classes"),
        ({"trainer__max_epochs": 0}, r"max_epochs is 0; train for 1 epoch or more"),
        ({"trainer__precision": "7-bit"}, r"precision"),
        ({"trainer__speed": 9}, r"speed"),
        ({"trainer__devices": 0}, r"devices is 0; train on 1 or more"),
        ({"seed_everything": "often"}, r"seed_everything"),
        ({"seed_everything": -1}, r"The seed is -1; it must be from 0 to 4294967295"),
        ({"seed_everything": 2**32}, r"The seed is 4294967296; it must be"),
    ],
)
def test_what_cannot_work(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as error:
        check_config(config(**changes))
    assert "\n" not in str(error.value) and "Traceback" not in str(error.value)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("ARENA_MLRUNS", str(tmp_path / "mlruns"))
    return Store.default().open()


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("torchvision:V9", "no weights 'V9' of ResNet-18; choose one of: IMAGENET1K_V1"),
        ("/nowhere/best.ckpt", "There is no checkpoint /nowhere/best.ckpt"),
        ("best.ckpt", r"There is no checkpoint best\.ckpt"),
        (" ", "Name the run or the checkpoint file"),
        ("resnet19-digits", "No run has the name or an id that begins with 'resnet19-digits'"),
        ("waiting", "waiting has saved no checkpoint yet"),
    ],
)
def test_weights_that_are_not_there(weights: str, sentence: str, store: Store) -> None:
    records.create_run(store, config(), name="waiting")
    with pytest.raises(ValueError, match=sentence):
        check_config(config(model__weights=weights))


def test_weights_of_a_run(store: Store) -> None:
    run_id = records.create_run(store, config(), name="earlier")
    folder = store.checkpoint_folder(run_id)
    folder.mkdir()
    module = ImageClassifier("resnet18", 10, 64)
    content = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict()}
    torch.save(content, folder / "last.ckpt")
    for weights in ("earlier", run_id[:6], str(folder / "last.ckpt")):
        check_config(config(model__weights=weights, data__image_size=32))
        with pytest.raises(ValueError, match="holds ResNet-18, not VGG-16"):
            check_config(config("vgg16", model__weights=weights))
    assert find_weights(store, "earlier") == (str(folder / "last.ckpt"), run_id)
    (folder / "best.ckpt").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"best\.ckpt is not a checkpoint"):
        check_config(config(model__weights="earlier"))


def test_published_weights_need_a_counterpart() -> None:
    check_config(config("resnet18", model__weights="torchvision"))
    with pytest.raises(ValueError, match="torchvision publishes no weights of AlexNet"):
        check_config(config("alexnet", model__weights="torchvision"))


def test_images_that_are_not_there() -> None:
    with pytest.raises(DataError, match="There is no folder /nowhere"):
        check_config(config(data__source="folder", data__root="/nowhere"))
