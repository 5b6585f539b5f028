"""The launch form without its widgets: what the fields mean, what is wrong with them, and cloning a run."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dashboard.launch.cluster import clone_cluster
from dashboard.widgets import formatting
from dashboard.widgets.address import YES, Field, between, one_of
from datamodules.subset import write_classes
from jobs.host.machine import Machine
from jobs.preflight.allowed_paths import check_files, check_weights
from jobs.submission.extras import PLACES
from jobs.submission.spec import JobSpec

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.recipes import Recipe

DEFAULT_NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet18")
DEFAULT_SOURCE = "digits"
DEFAULT_RECIPE = "quick"
DEFAULT_IMAGE_SIZE = 64
AUTO = "auto"

# Lowest and highest value of each number, for the widget and for the address.
LIMITS: Mapping[str, tuple[int, int]] = {
    "epochs": (1, 10_000),
    "image_size": (8, 1024),
    "batch_size": (1, 8192),
    "accumulate": (1, 1024),
    "num_workers": (0, 128),
    "val_resize": (224, 2048),
    "devices": (1, 64),
    "seed": (0, 2**31 - 1),
    "num_seeds": (1, 100),
}

RECIPES: Mapping[str, str] = {
    "quick": "Minutes instead of days: few epochs, made to learn fast",
    "modern": "As one trains today: longer, with newer habits",
    "paper": "As the authors did: their optimiser, schedule and batch",
}

SCRATCH, PUBLISHED, EARLIER = "scratch", "torchvision", "earlier"
WEIGHTS: Mapping[str, str] = {
    SCRATCH: "From scratch",
    PUBLISHED: "Published (torchvision)",
    EARLIER: "From a run or checkpoint",
}

PRECISIONS: Mapping[str, str] = {
    AUTO: "Automatic: what is fast here",
    "32-true": "float32",
    "bf16-mixed": "bfloat16, mixed",
    "16-mixed": "float16, mixed",
}


def launch_fields(
    architectures: "Mapping[str, Architecture]", sources: Collection[str], augmentations: Collection[str]
) -> dict[str, Field]:
    """Name every field of the form, whether it is shown or not, with its default."""
    fields = {
        "networks": Field(
            [key for key in DEFAULT_NETWORKS if key in architectures], one_of(architectures), many=True
        ),
        "source": Field(DEFAULT_SOURCE, one_of(sources)),
        "root": Field(""),
        "classes": Field(""),
        "recipe": Field([DEFAULT_RECIPE], one_of(RECIPES), many=True),
        "learning_rate": Field(""),
        "epochs": Field(None, between(*LIMITS["epochs"])),
        "image_size": Field(DEFAULT_IMAGE_SIZE, between(*LIMITS["image_size"])),
        "batch_size": Field(None, between(*LIMITS["batch_size"])),
        "accumulate": Field(1, between(*LIMITS["accumulate"])),
        "augmentation": Field(None, one_of(augmentations)),
        "mean_image": Field(""),
        "val_resize": Field(None, between(*LIMITS["val_resize"])),
        "max_unreadable": Field(""),
        "weights": Field(SCRATCH, one_of(WEIGHTS)),
        "checkpoint": Field(""),
        "precision": Field(AUTO, one_of(PRECISIONS)),
        "devices": Field(1, parse_devices),
        "num_workers": Field(None, between(*LIMITS["num_workers"])),
        "seed": Field(0, between(*LIMITS["seed"])),
        "num_seeds": Field(1, between(*LIMITS["num_seeds"])),
    }
    return fields | option_fields(architectures)


def parse_devices(text: str) -> int | str:
    """Read a number of devices, or that all are meant."""
    return AUTO if text == AUTO else between(*LIMITS["devices"])(text)


def parse_share(text: str) -> tuple[float | None, str]:
    """Read a share or a number of images, None if empty. Returns it with what is wrong with it."""
    try:
        share = float(text) if text else None
        if share is None or 0 <= share < float("inf"):
            return share, ""
    except ValueError:
        pass
    return None, f"{text} is no amount of images; type a share below 1, such as 0.05, or a number of images."


def mean_image_problem(file: str, image_size: int) -> str:
    """Say why an image cannot be subtracted, nothing when it can or none is named."""
    from datamodules.errors import DataError
    from datamodules.pixels.mean_image import read_mean_image

    try:
        if file:
            check_files({"data": {"mean_image": file}})
            read_mean_image(Path(file).expanduser(), image_size)
    except (ValueError, DataError) as problem:
        return str(problem)
    return ""


def option_fields(architectures: "Mapping[str, Architecture]") -> dict[str, Field]:
    """Name the fields for what the papers leave open, with the papers' own choice as the default."""
    return {
        option_key(key, option): Field(allowed[0], one_of(allowed))
        for key, architecture in architectures.items()
        for option, allowed in architecture.options.items()
    }


def recipe_hint(values: Iterable[float]) -> str:
    """Say what the recipes take where a field is left empty: `6 to 12, the recipe's`."""
    found = sorted(set(values))
    if not found:
        return "the recipe's"
    return f"{found[0]:g}{f' to {found[-1]:g}' if len(found) > 1 else ''}, the recipe's"


def network_label(architecture: "Architecture", parameters: int) -> str:
    """Name a network with its year and size: `AlexNet · 2012 · 61.0 M`."""
    return f"{architecture.name} :gray[:small[{architecture.year} · {formatting.short_count(parameters)}]]"


def other_networks(architectures: "Mapping[str, Architecture]", known: Collection[str]) -> list[str]:
    """List the networks that are not well known, family by family."""
    families = list(dict.fromkeys(one.family for one in architectures.values()))
    others = [key for key in architectures if key not in known]
    return sorted(others, key=lambda key: families.index(architectures[key].family))


def change_choice(before: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """Keep the order of a choice that changed: what is new comes last."""
    return [*(key for key in before if key in chosen), *(key for key in chosen if key not in before)]


def parse_rates(text: str) -> tuple[float, ...]:
    """Read learning rates, separated by commas.

    Raises:
        ValueError: one is no number above 0, or is named twice.
    """
    rates: list[float] = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        try:
            rate = float(word)
        except ValueError:
            rate = 0.0
        if not 0 < rate < inf:
            raise ValueError(f"{word!r} is no learning rate; write numbers above 0, such as 0.1, 0.01.")
        if rate in rates:
            raise ValueError(f"{word} is named twice; name it once.")
        rates.append(rate)
    return tuple(rates)


def networks_problem(networks: Sequence[str]) -> str:
    """Say what is wrong with the choice of networks, nothing when it can work."""
    return "" if networks else "Choose at least one network."


def size_problem(image_size: int, chosen: "Iterable[Architecture]") -> str:
    """Say for which of the chosen networks the images are too small, and what works for all of them."""
    too_large = [one for one in chosen if one.minimum_size > image_size]
    if not too_large:
        return ""
    smallest = max(one.minimum_size for one in too_large)
    return (
        f"{image_size} px is too small for {join(one.name for one in too_large)}; "
        f"{smallest} px is the smallest that works."
    )


def batch_problem(batch_size: int | None, recipes: "Iterable[Recipe]", train_images: int) -> str:
    """Say when not even one batch fits into the training images, nothing when one does."""
    wanted = batch_size or max((recipe.batch_size for recipe in recipes), default=1)
    if not train_images or wanted <= train_images:
        return ""
    subject = "A batch" if batch_size else "The recipe's batch"
    return (
        f"{subject} of {wanted} does not fit into {train_images} training images; "
        f"take at most {train_images}."
    )


def weights_of(kind: str, checkpoint: str) -> str | None:
    """Give the starting weights as a job names them: None from scratch."""
    return {SCRATCH: None, PUBLISHED: PUBLISHED}.get(kind, checkpoint.strip())


def weights_problem(
    weights: str | None, chosen: "Mapping[str, Architecture]", options: Mapping[str, Mapping[str, str]]
) -> str:
    """Say why networks cannot start from these weights, nothing when they can."""
    if weights is None:
        return ""
    if weights == PUBLISHED:
        without = [one.name for one in chosen.values() if not one.twin or one.twin.library != PUBLISHED]
        if without:
            return f"torchvision publishes no weights of {join(without)}; choose other networks or weights."
    from tracking.unavailable import StoreUnavailable
    from training.config_check import check_start

    try:
        check_weights(weights)
        for key in chosen:
            check_start(weights, key, options.get(key, {}))
    except (ValueError, StoreUnavailable) as problem:
        return str(problem)
    return ""


def devices_problem(devices: int | str, machine: Machine) -> str:
    """Say when a job asks for more devices than this machine has, nothing when it does not."""
    if isinstance(devices, str):
        return ""
    num_gpus = len(machine.gpus)
    if num_gpus and devices > num_gpus:
        return f"This machine has {formatting.plural(num_gpus, 'GPU')}; take at most {num_gpus}."
    if num_gpus and devices > 1 and all(gpu.is_part for gpu in machine.gpus):
        return "Parts of a GPU (MIG) cannot train together; take 1."
    if machine.accelerator == "mps" and devices > 1:
        return "Apple's GPU is one device; take 1."
    if machine.accelerator == "cpu" and devices > machine.cores:
        cores = formatting.plural(machine.cores, "processor core")
        return f"This machine has no GPU and {cores}; take at most {machine.cores}."
    return ""


def precision_note(precision: str, machine: Machine) -> str:
    """Say what a precision comes to here where it is not what was asked for."""
    if precision == "16-mixed" and machine.accelerator == "cpu":
        return "float16 needs a GPU; on this processor bfloat16 is used instead."
    return ""


def join(words: Iterable[str]) -> str:
    """Write a list as in a sentence: `AlexNet, VGG-16 and GoogLeNet`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def plan(spec: JobSpec) -> list[str]:
    """Say in one line a configuration what will be trained: `alexnet: 5 epochs, batches of 64`."""
    last = spec.seed + spec.num_seeds - 1
    seeds = f" · seeds {spec.seed} to {last}" if spec.num_seeds > 1 else ""
    several = len(spec.recipes) > 1
    times = f"{spec.accumulate} × " if spec.accumulate > 1 else ""
    return [
        f"**{config['model']['architecture']}** · "
        + (f"{config['model']['recipe']} · " if several else "")
        + (f"learning rate {config['model']['learning_rate']:g} · " if spec.learning_rates else "")
        + f"{formatting.plural(config['trainer']['max_epochs'], 'epoch')} · "
        f"batches of {times}{config['data']['batch_size']}{seeds}"
        for config in spec.configurations()
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
        "classes": write_classes(data.get("classes")) or None,
        "recipe": model["recipe"],
        "epochs": trainer["max_epochs"],
        "image_size": data["image_size"],
        "batch_size": data["batch_size"],
        "learning_rate": model.get("learning_rate"),
        "accumulate": trainer.get("accumulate_grad_batches"),
        "augmentation": data.get("augmentation"),
        "num_workers": data.get("num_workers"),
        "mean_image": data.get("mean_image"),
        "val_resize": data.get("val_resize"),
        "max_unreadable": data.get("max_unreadable"),
        "precision": trainer.get("precision"),
        "devices": trainer["devices"],
        "seed": config["seed_everything"],
        **{name: config[place].get(name) for name, place in PLACES.items()},
        **clone_cluster(config),
    }
    if weights := model.get("weights"):
        is_published = weights == PUBLISHED
        values |= {"weights": PUBLISHED} if is_published else {"weights": EARLIER, "checkpoint": weights}
    values |= {
        option_key(model["architecture"], name): value for name, value in (model.get("options") or {}).items()
    }
    filled: dict[str, str | list[str]] = {
        key: YES if value is True else str(value)
        for key, value in values.items()
        if value is not None and value is not False
    }
    return {"networks": [model["architecture"]], **filled}
