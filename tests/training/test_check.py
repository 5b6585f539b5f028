"""What cannot work is found out before anything starts."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.problems import Root
from jobs.submission.spec import JobSpec
from lightning_modules import registry
from lightning_modules.classifier import ImageClassifier
from lightning_modules.problems import InvalidChoice, UnusableWeights
from problems import Code
from tests.refusals import refused
from tracking import records
from tracking.problems import Wrong
from tracking.store import Store
from training.config_check import check_config
from training.problems import InvalidSettings, NoStart
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
    ("changes", "code"),
    [
        ({"model__architecture": "lenet"}, InvalidChoice.SIMILAR_NETWORK),
        ({"model__recipe": "slow"}, InvalidChoice.NO_RECIPE),
        ({"model__options": {"depth": "3"}}, InvalidChoice.NO_OPTION),
        ({"data__image_size": 31}, InvalidChoice.IMAGE_TOO_SMALL),
        ({"trainer__max_epochs": 0}, InvalidSettings.MAX_EPOCHS),
        ({"trainer__devices": 0}, InvalidSettings.NO_DEVICES),
        ({"seed_everything": -1}, InvalidSettings.SEED),
        ({"seed_everything": 2**32}, InvalidSettings.SEED),
    ],
)
def test_invalid_values(changes: dict[str, Any], code: Code) -> None:
    with refused(code):
        check_config(config(**changes))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"data__image_size": "big"}, r"image_size"),
        ({"data__batch_size": 0}, "batch_size"),
        ({"data__colour": "red"}, r"colour"),
        ({"data__classes": 11}, "classes"),
        ({"data__classes": ["3", "cat"]}, "cat"),
        ({"data__classes": "all"}, r"classes"),
        ({"trainer__precision": "7-bit"}, r"precision"),
        ({"trainer__speed": 9}, r"speed"),
        ({"seed_everything": "often"}, r"seed_everything"),
    ],
)
def test_what_is_invalid_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as error:
        check_config(config(**changes))
    assert "\n" not in str(error.value) and "Traceback" not in str(error.value)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("ARENA_MLRUNS", str(tmp_path / "mlruns"))
    return Store.default().open()


@pytest.mark.parametrize(
    ("weights", "code"),
    [
        ("torchvision:V9", UnusableWeights.NO_SUCH_NAME),
        ("/nowhere/best.ckpt", NoStart.NO_FILE),
        ("best.ckpt", NoStart.NO_FILE),
        (" ", NoStart.UNNAMED),
        ("resnet19-digits", Wrong.NO_SUCH_NAME),
        ("waiting", NoStart.NO_CHECKPOINT_YET),
    ],
)
def test_weights_that_are_not_there(weights: str, code: Code, store: Store) -> None:
    records.create_run(store, config(), name="waiting")
    with refused(code):
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
        with refused(UnusableWeights.OTHER_NETWORK, theirs="ResNet-18", ours="VGG-16"):
            check_config(config("vgg16", model__weights=weights))
    assert find_weights(store, "earlier") == (str(folder / "last.ckpt"), run_id)
    (folder / "best.ckpt").write_bytes(b"cut off")
    with refused(UnusableWeights.INCOMPLETE, file=folder / "best.ckpt"):
        check_config(config(model__weights="earlier"))


def test_published_weights_need_a_counterpart() -> None:
    check_config(config("resnet18", model__weights="torchvision"))
    with refused(UnusableWeights.NOT_PUBLISHED, network="AlexNet"):
        check_config(config("alexnet", model__weights="torchvision"))


def test_images_that_are_not_there() -> None:
    with refused(Root.MISSING, root=Path("/nowhere")):
        check_config(config(data__source="folder", data__root="/nowhere"))
