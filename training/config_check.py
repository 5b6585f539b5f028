"""Check a configuration before anything starts."""

import training.lightning  # noqa: F401

# isort: split

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from jsonargparse import ArgumentError
from lightning_fabric.utilities.seed import max_seed_value
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser

from datamodules.imagenet import ImageNetDataModule
from lightning_modules import registry
from lightning_modules.classifier import ImageClassifier
from lightning_modules.initialisation import without_numbers
from lightning_modules.weights import check_weights
from problems import InvalidValue
from tracking.store import Store
from training.callbacks.averaging import check_decay
from training.cli import add_checkpoint_interval, add_cluster_options, link_data_to_model
from training.problems import InvalidSettings
from training.starting import find_weights


def check_config(config: Mapping[str, Any]) -> None:
    """Check everything that can be checked without training.

    Args:
        config: A run's YAML as a mapping: trainer, model, data, seed_everything.

    Raises:
        ValueError: A key, type or value is invalid.
        DataError: The images do not exist or are invalid.
        StoreUnavailable: The run with the starting weights cannot be read.
    """
    parsed = _parse(config)
    architecture = registry.get(parsed.model.architecture)
    architecture.get_recipe(parsed.model.recipe)
    architecture.check_options(parsed.model.options or {})
    architecture.check_size(parsed.data.image_size)
    if parsed.trainer.max_epochs is not None and parsed.trainer.max_epochs < 1:
        raise InvalidValue(InvalidSettings.MAX_EPOCHS, max_epochs=parsed.trainer.max_epochs)
    if parsed.model.ema_decay is not None:
        check_decay(parsed.model.ema_decay)
    _check_seed(parsed.seed_everything)
    _check_devices(parsed.trainer.accelerator, parsed.trainer.devices)
    images = ImageNetDataModule(**parsed.data.as_dict())
    if parsed.model.weights is not None:
        check_start(
            parsed.model.weights,
            architecture.key,
            parsed.model.options or {},
            parsed.data.image_size,
            images.num_classes,
        )


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration completed with defaults, without values that are None.

    Raises:
        InvalidValue: A key, type or value is invalid.
    """
    parsed = _parse(config).as_dict()
    sections = {name: {**parsed[name], **config.get(name, {})} for name in ("trainer", "model", "data")}
    for section in sections.values():
        for key in [key for key, value in section.items() if value is None]:
            del section[key]
    return {**config, **sections}


def check_start(
    weights: str,
    architecture: str,
    options: Mapping[str, str],
    image_size: int | None = None,
    num_classes: int | None = None,
) -> None:
    """Check the weights that a run starts from, without downloading those of torchvision.

    Args:
        weights: ``torchvision``, a run of this store, or a checkpoint file.
        architecture: A key of the registry.
        options: Options of the network.
        image_size: Image size in pixels; the paper's if None. Layers that depend on it may differ.
        num_classes: Number of classes; the paper's if None. The classifier may differ.

    Raises:
        InvalidValue: There are none, or they do not fit.
        StoreUnavailable: The run cannot be read.
    """
    found, _ = find_weights(Store.default(), weights)
    known = registry.get(architecture)
    with without_numbers():
        network = known.build(num_classes, image_size, **options)
    check_weights(found, known, network, options)


def _parse(config: Mapping[str, Any]) -> Any:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--seed_everything", type=bool | int, default=0)
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.add_lightning_class_args(ImageClassifier, "model")
    parser.add_lightning_class_args(ImageNetDataModule, "data")
    link_data_to_model(parser)
    add_checkpoint_interval(parser)
    add_cluster_options(parser)
    try:
        return parser.parse_object(deepcopy(dict(config)))
    except ArgumentError as error:
        raise InvalidValue(InvalidSettings.NOT_PARSED, said=_first_sentence(str(error))) from error


def _first_sentence(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]


def _check_seed(seed: bool | int) -> None:
    if not 0 <= seed <= max_seed_value:
        raise InvalidValue(InvalidSettings.SEED, seed=seed, largest=max_seed_value)


def _check_devices(accelerator: str, devices: Any) -> None:
    requested = len(devices) if isinstance(devices, list) else devices
    if str(requested) == "0":
        raise InvalidValue(InvalidSettings.NO_DEVICES)
    if accelerator in ("cpu", "mps") or not str(requested).isdigit() or int(requested) <= 1:
        return
    available = torch.cuda.device_count()
    if accelerator != "auto" and int(requested) > available:
        raise InvalidValue(InvalidSettings.TOO_FEW_GPUS, requested=int(requested), available=available)
