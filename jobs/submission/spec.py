"""What a form or a command line asks for, before it becomes one configuration per architecture."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import inf
from typing import Any

from datamodules.subset import write_classes
from jobs.engines.slurm_options import SlurmOptions
from jobs.submission.extras import Extras


@dataclass(frozen=True)
class JobSpec:
    """One job for each architecture, recipe, learning rate and seed, alike in everything else.

    Attributes:
        architectures: Keys of the networks to train.
        source: Key of the data source.
        root: Folder of the data, for a source that needs one.
        recipes: Keys of the training recipes.
        learning_rates: Instead of the recipes' own; none takes those.
        epochs: None takes the recipe's own.
        batch_size: Images at once on each device; None takes the recipe's own.
        accumulate: Batches whose gradients are added up before a step of the optimiser.
        image_size: Side of the images in pixels.
        classes: The first so many of the source, or their names or labels; None takes all.
        precision: Lightning's name for it; None lets the training process choose what is fast here.
        devices: How many, or "auto" for all.
        seed: Of the only or the first run of a configuration.
        num_seeds: Runs of each configuration, with as many seeds from the first on.
        options: Options of the networks by architecture, such as `{"resnet50": {"stride": "3x3"}}`.
        augmentation: Key of what happens to training images; None takes the recipe's own.
        num_workers: Processes that load data; None lets the data module choose.
        mean_image: File of the image that is subtracted from all; None subtracts the mean colour.
        val_resize: Short side of validation images before their center is cut out; None takes 256.
        max_unreadable: Images that may be unreadable, a share below 1 or a number; None takes 0.01.
        weights: "torchvision", a run or a checkpoint file to start from; None starts from scratch.
        extras: What few trainings ask for.
        slurm: What to ask of a Slurm cluster; None trains on this machine.
    """

    architectures: tuple[str, ...]
    source: str = "digits"
    root: str | None = None
    recipes: tuple[str, ...] = ("quick",)
    learning_rates: tuple[float, ...] = ()
    epochs: int | None = None
    image_size: int = 64
    classes: int | tuple[int | str, ...] | None = None
    batch_size: int | None = None
    accumulate: int = 1
    precision: str | None = None
    devices: int | str = 1
    seed: int = 0
    num_seeds: int = 1
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    augmentation: str | None = None
    num_workers: int | None = None
    mean_image: str | None = None
    val_resize: int | None = None
    max_unreadable: float | None = None
    weights: str | None = None
    extras: Extras = field(default_factory=Extras)
    slurm: SlurmOptions | None = None

    @property
    def num_jobs(self) -> int:
        """How many configurations `configs` gives."""
        return len(self.architectures) * len(self.recipes) * max(1, len(self.learning_rates)) * self.num_seeds

    def configs(self) -> list[dict[str, Any]]:
        """The complete configuration of every job: all of the first seed, then all of the next.

        Raises:
            ValueError: No architecture or recipe is named, one is unknown or named twice, an option belongs
                to none of them, or a number is too small.
        """
        for name, number in (("num_seeds", self.num_seeds), ("accumulate", self.accumulate)):
            if number < 1:
                raise ValueError(f"{name} is {number}; it must be 1 or more.")
        for word, values in (("architecture", self.architectures), ("recipe", self.recipes)):
            if not values:
                raise ValueError(f"Name at least one {word} to train.")
        for rate in self.learning_rates:
            if not 0 < rate < inf:
                raise ValueError(f"A learning rate is {rate:g}; it must be above 0.")
        for named in (self.architectures, self.recipes, self.learning_rates):
            if twice := [value for value in named if named.count(value) > 1]:
                raise ValueError(f"{twice[0]} is named twice; name it once.")
        for key in self.options:
            if key not in self.architectures:
                raise ValueError(
                    f"There are options for {key!r}, which is not among the architectures to train."
                )
        seeds = range(self.seed, self.seed + self.num_seeds)
        grid = product(seeds, self.architectures, self.recipes, self.learning_rates or (None,))
        return [self._config(*point) for point in grid]

    def configurations(self) -> list[dict[str, Any]]:
        """Those of the first seed alone: what is wrong with one is so for every seed. Raises as `configs`."""
        return replace(self, num_seeds=1).configs()

    def command(self) -> str:
        """The shell command that submits the same jobs, from the repository."""
        words = [".venv/bin/python", "-m", "jobs", "submit", *self.architectures]
        values: dict[str, object] = {
            "--source": self.source,
            "--root": self.root,
            "--recipe": ",".join(self.recipes),
            "--learning_rate": ",".join(map(repr, self.learning_rates)) or None,
            "--epochs": self.epochs,
            "--image_size": self.image_size,
            "--classes": write_classes(self.classes) or None,
            "--batch_size": self.batch_size,
            "--accumulate": self.accumulate if self.accumulate > 1 else None,
            "--precision": self.precision,
            "--devices": self.devices,
            "--seed": self.seed,
            "--num_seeds": self.num_seeds if self.num_seeds > 1 else None,
            "--augmentation": self.augmentation,
            "--num_workers": self.num_workers,
            "--mean_image": self.mean_image,
            "--val_resize": self.val_resize,
            "--max_unreadable": None if self.max_unreadable is None else f"{self.max_unreadable:g}",
            "--weights": self.weights,
        }
        if self.slurm is not None:
            words.append("--slurm")
            values |= self.slurm.to_options()
        for name, value in values.items():
            if value is not None:
                # A value that begins with a dash would be read as an option of its own.
                words += [f"{name}={value}"] if str(value).startswith("-") else [name, str(value)]
        for architecture, options in self.options.items():
            for name, value in options.items():
                words += ["--option", f"{architecture}.{name}={value}"]
        words += self.extras.words()
        return shlex.join(words)

    def _config(
        self, seed: int, architecture: str, recipe: str, learning_rate: float | None
    ) -> dict[str, Any]:
        epochs, batch_size = self.epochs, self.batch_size
        if epochs is None or batch_size is None:
            known = _recipe(architecture, recipe)
            epochs = known.epochs if epochs is None else epochs
            batch_size = known.batch_size if batch_size is None else batch_size
        trainer: dict[str, Any] = {"max_epochs": epochs, "accelerator": "auto", "devices": self.devices}
        if self.precision is not None:
            trainer["precision"] = self.precision
        if self.accumulate > 1:
            trainer["accumulate_grad_batches"] = self.accumulate
        model: dict[str, Any] = {
            "architecture": architecture,
            "recipe": recipe,
            "options": dict(self.options.get(architecture, {})),
        }
        if learning_rate is not None:
            model["learning_rate"] = learning_rate
        if self.weights is not None:
            model["weights"] = self.weights
        data: dict[str, Any] = {
            "source": self.source,
            "root": self.root,
            "image_size": self.image_size,
            "batch_size": batch_size,
            "classes": list(self.classes) if isinstance(self.classes, tuple) else self.classes,
            "augmentation": self.augmentation,
            "num_workers": self.num_workers,
        }
        for name in ("mean_image", "val_resize", "max_unreadable"):
            if (value := getattr(self, name)) is not None:
                data[name] = value
        config = self.extras.add_to(
            {"seed_everything": seed, "trainer": trainer, "model": model, "data": data}
        )
        return config if self.slurm is None else self.slurm.add_to(config)


def _recipe(architecture: str, recipe: str) -> Any:
    from lightning_modules import registry

    return registry.get(architecture).get_recipe(recipe)
