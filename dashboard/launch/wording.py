"""What the launch form says of networks, recipes and jobs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dashboard.widgets import formatting
from jobs.host.machine import describe_machine
from jobs.submission.spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning_modules.architecture import Architecture
    from lightning_modules.recipes import Recipe

RECIPES: "Mapping[str, str]" = {
    "quick": "Minutes instead of days: few epochs, tuned to learn fast",
    "modern": "Today's practice: longer training, newer techniques",
    "paper": "As in the paper: the authors' optimiser, schedule and batch size",
}


def recipe_hint(values: Iterable[float]) -> str:
    """Describe what the recipes take where a field is left empty: `6 to 12, the recipe's`."""
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


def join(words: Iterable[str]) -> str:
    """Write a list as in a sentence: `AlexNet, VGG-16 and GoogLeNet`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def plan(spec: JobSpec) -> list[str]:
    """Say in one line a configuration what will be trained: `alexnet: 5 epochs, batches of 64`."""
    last = spec.seed + spec.num_seeds - 1
    seeds = f" · seeds {spec.seed} to {last}" if spec.num_seeds > 1 else ""
    several = len(spec.recipe) > 1
    times = f"{spec.accumulate} × " if spec.accumulate > 1 else ""
    return [
        f"**{config['model']['architecture']}** · "
        + (f"{config['model']['recipe']} · " if several else "")
        + (f"learning rate {config['model']['learning_rate']:g} · " if spec.learning_rate else "")
        + f"{formatting.plural(config['trainer']['max_epochs'], 'epoch')} · "
        f"batches of {times}{config['data']['batch_size']}{seeds}"
        for config in spec.configurations()
    ]


def scaling_note(recipes: "Sequence[Recipe]", spec: JobSpec, devices: int | str) -> str:
    """Describe what the linear rule makes of the learning rates.

    Args:
        recipes: That are trained.
        spec: Of the jobs.
        devices: Of a job, or all of this machine.
    """
    from lightning_modules.recipes import scale_learning_rate

    number = devices if isinstance(devices, int) else describe_machine().num_devices
    changes = []
    for recipe in recipes:
        images = (spec.batch_size or recipe.batch_size) * spec.accumulate * number
        for rate in spec.learning_rate or (recipe.learning_rate,):
            scaled = scale_learning_rate(replace(recipe, learning_rate=rate), images).learning_rate
            changes.append(f"{rate:g} × {images} / {recipe.batch_size} = {scaled:g}")
    rule = "Linear rule (Goyal 2017, for SGD): learning rate × images per step / the recipe's batch size."
    return f"{rule} {join(dict.fromkeys(changes))}." if changes else rule
