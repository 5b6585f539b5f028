"""What cannot work is found out before anything starts."""

from typing import Any

import pytest

from datamodules.errors import DataError
from jobs.spec import JobSpec
from lightning_modules import registry
from training.check import check_config


def config(architecture: str = "resnet18", **changes: Any) -> dict[str, Any]:
    (config,) = JobSpec((architecture,)).configs()
    for path, value in changes.items():
        section, _, key = path.partition("__")
        config[section] = {**config[section], key: value} if key else value
    return config


@pytest.mark.parametrize("architecture", registry.architectures())
@pytest.mark.parametrize("recipe", ["paper", "modern", "quick"])
def test_what_the_form_offers_works(architecture: str, recipe: str) -> None:
    (form,) = JobSpec((architecture,), recipe=recipe).configs()
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
        ({"trainer__max_epochs": 0}, r"max_epochs is 0; train for 1 epoch or more"),
        ({"trainer__precision": "7-bit"}, r"precision"),
        ({"trainer__speed": 9}, r"speed"),
        ({"seed_everything": "often"}, r"seed_everything"),
    ],
)
def test_what_cannot_work(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as error:
        check_config(config(**changes))
    assert "\n" not in str(error.value) and "Traceback" not in str(error.value)


def test_images_that_are_not_there() -> None:
    with pytest.raises(DataError, match="There is no folder /nowhere"):
        check_config(config(data__source="folder", data__root="/nowhere"))
