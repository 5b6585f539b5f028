"""The launch form without its widgets: what the fields mean, what is wrong with them, and cloning a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from dashboard import formatting

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

DEFAULT_NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet18")
DEFAULT_IMAGE_SIZE = 64
AUTO = "auto"

RECIPES: Mapping[str, str] = {
    "quick": "Minutes instead of days: few epochs, made to learn fast",
    "modern": "As one trains today: longer, with newer habits",
    "paper": "As the authors did: their optimiser, schedule and batch",
}

PRECISIONS: Mapping[str, str] = {
    AUTO: "Automatic: what is fast here",
    "32-true": "float32",
    "bf16-mixed": "bfloat16, mixed",
    "16-mixed": "float16, mixed",
}


def network_label(architecture: "Architecture", parameters: int) -> str:
    """Name a network with its year and size: `AlexNet · 2012 · 61.0 M`."""
    return f"{architecture.name} :gray[:small[{architecture.year} · {formatting.short_count(parameters)}]]"


def networks_problem(networks: Sequence[str]) -> str:
    """Say what is wrong with the choice of networks, nothing when it can work."""
    return "" if networks else "Choose at least one network."


def size_problem(image_size: int, chosen: "Iterable[Architecture]") -> str:
    """Say for which of the chosen networks the images are too small, nothing when they are not."""
    for architecture in chosen:
        try:
            architecture.check_size(image_size)
        except ValueError as problem:
            return str(problem)
    return ""


def plan(configs: Sequence[Mapping[str, Mapping[str, object]]]) -> list[str]:
    """Say in one line a job what will be trained: `alexnet: 5 epochs, batches of 64`."""
    return [
        f"**{config['model']['architecture']}** · "
        f"{formatting.plural(int(str(config['trainer']['max_epochs'])), 'epoch')} · "
        f"batches of {config['data']['batch_size']}"
        for config in configs
    ]


def option_key(architecture: str, option: str) -> str:
    """Name the field of an architecture's option, which is also its part of the address."""
    return f"{architecture}.{option}"


def clone_params(config_yaml: str) -> dict[str, str | list[str]]:
    """Turn a run's configuration into the address of a launch form filled in the same way."""
    config = yaml.safe_load(config_yaml)
    model, data, trainer = config["model"], config["data"], config["trainer"]
    values = {
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
    values |= {
        option_key(model["architecture"], name): value for name, value in (model.get("options") or {}).items()
    }
    filled: dict[str, str | list[str]] = {
        key: str(value) for key, value in values.items() if value is not None
    }
    return {"networks": [model["architecture"]], **filled}
