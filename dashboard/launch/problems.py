"""What is wrong with what the launch form holds, a sentence each; nothing where it can work."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.launch.wording import join
from dashboard.widgets import formatting
from jobs.host.machine import Machine
from jobs.preflight.allowed_paths import check_files, check_weights

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.recipes import Recipe

PUBLISHED = "torchvision"


def mean_image_problem(file: str, image_size: int) -> str:
    """Describe why an image cannot be subtracted, nothing when it can or none is named."""
    from datamodules.pixels.mean_image import read_mean_image
    from datamodules.problems import DataError

    try:
        if file:
            check_files({"data": {"mean_image": file}})
            read_mean_image(Path(file).expanduser(), image_size)
    except (ValueError, DataError) as problem:
        return str(problem)
    return ""


def networks_problem(networks: Sequence[str]) -> str:
    """Describe what is wrong with the choice of networks, nothing when it can work."""
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
    """Describe when not even one batch fits into the training images, nothing when one does."""
    wanted = batch_size or max((recipe.batch_size for recipe in recipes), default=1)
    if not train_images or wanted <= train_images:
        return ""
    subject = "A batch" if batch_size else "The recipe's batch"
    return (
        f"{subject} of {wanted} does not fit into {train_images} training images; use at most {train_images}."
    )


def weights_problem(
    weights: str | None, chosen: "Mapping[str, Architecture]", options: Mapping[str, Mapping[str, str]]
) -> str:
    """Describe why networks cannot start from these weights, nothing when they can."""
    if weights is None:
        return ""
    if weights == PUBLISHED:
        without = [
            one.name for one in chosen.values() if not one.counterpart or one.counterpart.library != PUBLISHED
        ]
        if without:
            return f"torchvision publishes no weights of {join(without)}; choose other networks or weights."
    from tracking.problems import StoreUnavailable
    from training.config_check import check_start

    try:
        check_weights(weights)
        for key in chosen:
            check_start(weights, key, options.get(key, {}))
    except (ValueError, StoreUnavailable) as problem:
        return str(problem)
    return ""


def devices_problem(devices: int | str, machine: Machine) -> str:
    """Describe when a job asks for more devices than this machine has, nothing when it does not."""
    if isinstance(devices, str):
        return ""
    num_gpus = len(machine.gpus)
    if num_gpus and devices > num_gpus:
        return f"This machine has {formatting.plural(num_gpus, 'GPU')}; use at most {num_gpus}."
    if num_gpus and devices > 1 and all(gpu.is_part for gpu in machine.gpus):
        return "Parts of a GPU (MIG) cannot train together; use 1."
    if machine.accelerator == "mps" and devices > 1:
        return "Apple's GPU is one device; use 1."
    if machine.accelerator == "cpu" and devices > machine.cores:
        cores = formatting.plural(machine.cores, "processor core")
        return f"This machine has no GPU and {cores}; use at most {machine.cores}."
    return ""


def precision_note(precision: str, machine: Machine) -> str:
    """Describe which precision is used here where it differs from the requested one."""
    if precision == "16-mixed" and machine.accelerator == "cpu":
        return "float16 needs a GPU; on this processor bfloat16 is used instead."
    return ""
