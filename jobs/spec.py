"""What a form or a command line asks for, before it becomes one configuration per architecture."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datamodules.subset import write_classes


@dataclass(frozen=True)
class JobSpec:
    """One job for each architecture and seed, alike in everything else.

    Attributes:
        architectures: Keys of the networks to train.
        source: Key of the data source.
        root: Folder of the data, for a source that needs one.
        recipe: Key of the training recipe.
        epochs: None takes the recipe's own.
        batch_size: Images a step on each device; None takes the recipe's own.
        image_size: Side of the images in pixels.
        classes: The first so many of the source, or their names or labels; None takes all.
        precision: Lightning's name for it; None lets the training process choose what is fast here.
        devices: How many, or "auto" for all.
        seed: Of the only or the first run of a network.
        num_seeds: Runs of each network, with as many seeds from the first on.
        options: Options of the networks by architecture, such as `{"resnet50": {"stride": "3x3"}}`.
        augmentation: Key of what happens to training images; None takes the recipe's own.
        num_workers: Processes that load data; None lets the data module choose.
        weights: "torchvision", a run or a checkpoint file to start from; None starts from scratch.
    """

    architectures: tuple[str, ...]
    source: str = "digits"
    root: str | None = None
    recipe: str = "quick"
    epochs: int | None = None
    image_size: int = 64
    classes: int | tuple[int | str, ...] | None = None
    batch_size: int | None = None
    precision: str | None = None
    devices: int | str = 1
    seed: int = 0
    num_seeds: int = 1
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    augmentation: str | None = None
    num_workers: int | None = None
    weights: str | None = None

    def configs(self) -> list[dict[str, Any]]:
        """The complete configuration of every job: all architectures with the first seed, then with the next.

        Raises:
            ValueError: No architecture is named, one is unknown, an option belongs to none of them, or there
                are less than one seed.
        """
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds is {self.num_seeds}; it must be 1 or more.")
        if not self.architectures:
            raise ValueError("Name at least one architecture to train.")
        for key in self.options:
            if key not in self.architectures:
                raise ValueError(
                    f"There are options for {key!r}, which is not among the architectures to train."
                )
        seeds = range(self.seed, self.seed + self.num_seeds)
        return [self._config(architecture, seed) for seed in seeds for architecture in self.architectures]

    def command(self) -> str:
        """The shell command that submits the same jobs."""
        words = ["python", "-m", "jobs", "submit", *self.architectures]
        values = {
            "--source": self.source,
            "--root": self.root,
            "--recipe": self.recipe,
            "--epochs": self.epochs,
            "--image_size": self.image_size,
            "--classes": write_classes(self.classes) or None,
            "--batch_size": self.batch_size,
            "--precision": self.precision,
            "--devices": self.devices,
            "--seed": self.seed,
            "--num_seeds": self.num_seeds if self.num_seeds > 1 else None,
            "--augmentation": self.augmentation,
            "--num_workers": self.num_workers,
            "--weights": self.weights,
        }
        for name, value in values.items():
            if value is not None:
                # A value that begins with a dash would be read as an option of its own.
                words += [f"{name}={value}"] if str(value).startswith("-") else [name, str(value)]
        for architecture, options in self.options.items():
            for name, value in options.items():
                words += ["--option", f"{architecture}.{name}={value}"]
        return shlex.join(words)

    def _config(self, architecture: str, seed: int) -> dict[str, Any]:
        epochs, batch_size = self.epochs, self.batch_size
        if epochs is None or batch_size is None:
            recipe = _recipe(architecture, self.recipe)
            epochs = recipe.epochs if epochs is None else epochs
            batch_size = recipe.batch_size if batch_size is None else batch_size
        trainer: dict[str, Any] = {"max_epochs": epochs, "accelerator": "auto", "devices": self.devices}
        if self.precision is not None:
            trainer["precision"] = self.precision
        model: dict[str, Any] = {
            "architecture": architecture,
            "recipe": self.recipe,
            "options": dict(self.options.get(architecture, {})),
        }
        if self.weights is not None:
            model["weights"] = self.weights
        return {
            "seed_everything": seed,
            "trainer": trainer,
            "model": model,
            "data": {
                "source": self.source,
                "root": self.root,
                "image_size": self.image_size,
                "batch_size": batch_size,
                "classes": list(self.classes) if isinstance(self.classes, tuple) else self.classes,
                "augmentation": self.augmentation,
                "num_workers": self.num_workers,
            },
        }


def _recipe(architecture: str, recipe: str) -> Any:
    from lightning_modules import registry

    return registry.get(architecture).get_recipe(recipe)
