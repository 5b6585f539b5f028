"""The launch form without its widgets: what the fields mean, what is wrong with them, and cloning a run."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import yaml
from jobs.spec import JobSpec

if TYPE_CHECKING:
    from datamodules.sources import Source
    from lightning_modules.architecture import Architecture

DEFAULT_NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet18")
DEFAULT_IMAGE_SIZE = 64
AUTO = "auto"
PRECISIONS = (AUTO, "32-true", "bf16-mixed", "16-mixed")

RECIPES: Mapping[str, str] = {
    "quick": "Minutes on a laptop: few epochs, one-cycle learning rate",
    "modern": "How one would train it today: label smoothing, cosine schedule",
    "paper": "As the authors did: their optimiser, schedule and batch size",
}


def option_key(architecture: str, option: str) -> str:
    """Name the field, and the part of the address, of an architecture's option."""
    return f"{architecture}.{option}"


def clone_params(config_yaml: str) -> dict[str, str | list[str]]:
    """Turn a run's configuration into the address of a launch form filled in the same way."""
    config = yaml.safe_load(config_yaml)
    model, data, trainer = config["model"], config["data"], config["trainer"]
    values = {
        "networks": [model["architecture"]],
        "source": data["source"],
        "root": data.get("root"),
        "recipe": model["recipe"],
        "epochs": trainer["max_epochs"],
        "image_size": data["image_size"],
        "batch_size": data["batch_size"],
        "precision": trainer.get("precision"),
        "devices": trainer["devices"],
        "seed": config["seed_everything"],
    }
    options = {option_key(model["architecture"], name): value for name, value in (model.get("options") or {}).items()}
    return {
        key: value if isinstance(value, list) else str(value)
        for key, value in {**values, **options}.items()
        if value is not None
    }
