"""What a form or a command line asks for, before it becomes one configuration for each job."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import inf
from typing import Any

from jobs.engines.slurm_options import SlurmOptions
from jobs.submission import settings
from jobs.submission.kinds import Switch

# What several values of make several jobs; all else is the same for all of them.
GRID = ("recipe", "learning_rate", "num_seeds")


@dataclass(frozen=True, init=False)
class JobSpec:
    """One job for each architecture, recipe, learning rate and seed, alike in everything else.

    Args:
        architectures: Keys of the networks to train.
        options: Of the networks by architecture, such as ``{"resnet50": {"stride_on": "3x3"}}``.
        **values: Settings by their names in `jobs.submission.settings`; the others have their defaults, and
            each is an attribute.

    Raises:
        TypeError: There is no such setting.
    """

    architectures: tuple[str, ...]
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        architectures: Sequence[str],
        options: Mapping[str, Mapping[str, str]] | None = None,
        values: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        given = {**(values or {}), **more}
        if unknown := set(given) - {one.name for one in settings.SETTINGS}:
            raise TypeError(f"There is no setting {unknown.pop()!r}.")
        object.__setattr__(self, "architectures", tuple(architectures))
        object.__setattr__(self, "options", dict(options or {}))
        # At their defaults they are not part of it, so that equal orders are equal.
        known = {one.name: one.default for one in settings.SETTINGS}
        kept = {name: given[name] for name in known if name in given and given[name] != known[name]}
        object.__setattr__(self, "values", kept)

    def __getattr__(self, name: str) -> Any:
        if name in {one.name for one in settings.SETTINGS}:
            return self.values.get(name, settings.setting(name).default)
        raise AttributeError(name)

    @property
    def cluster(self) -> SlurmOptions | None:
        """What to ask of a Slurm cluster; None trains on this machine."""
        asked = [one.name for one in settings.settings_of("cluster") if one.name in self.values]
        if not (self.slurm or asked):
            return None
        return SlurmOptions(
            self.nodes, self.gpus_per_node, self.partition, self.time, self.account, self.sbatch or {}
        )

    @property
    def num_jobs(self) -> int:
        """How many configurations `configs` gives."""
        rates = max(1, len(self.learning_rate))
        return len(self.architectures) * len(self.recipe) * rates * int(self.num_seeds)

    def configs(self) -> list[dict[str, Any]]:
        """The complete configuration of every job: all of the first seed, then all of the next.

        Raises:
            ValueError: No architecture or recipe is named, one is unknown or named twice, an option belongs
                to none of them, or a number is too small.
        """
        for name in ("num_seeds", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        for word, named in (("architecture", self.architectures), ("recipe", self.recipe)):
            if not named:
                raise ValueError(f"Name at least one {word} to train.")
        for rate in self.learning_rate:
            if not 0 < rate < inf:
                raise ValueError(f"A learning rate is {rate:g}; it must be above 0.")
        for named in (self.architectures, self.recipe, self.learning_rate):
            if twice := [value for value in named if named.count(value) > 1]:
                raise ValueError(f"{twice[0]} is named twice; name it once.")
        for key in self.options:
            if key not in self.architectures:
                raise ValueError(
                    f"There are options for {key!r}, which is not among the architectures to train."
                )
        seeds = range(self.seed, self.seed + self.num_seeds)
        grid = product(seeds, self.architectures, self.recipe, self.learning_rate or (None,))
        return [self._config(*point) for point in grid]

    def configurations(self) -> list[dict[str, Any]]:
        """Those of the first seed alone: what is wrong with one is so for every seed. Raises as `configs`."""
        return self.change(num_seeds=1).configs()

    def change(self, **more: Any) -> "JobSpec":
        """Return the same with other settings."""
        return JobSpec(self.architectures, self.options, {**self.values, **more})

    def command(self) -> str:
        """The shell command that submits the same jobs, from the repository."""
        words = [".venv/bin/python", "-m", "jobs", "submit", *self.architectures]
        for one in settings.SETTINGS:
            if isinstance(one.kind, Switch):
                words += [f"--{one.name}"] if getattr(self, one.name) else []
            elif one.name in self.values:
                text = one.kind.write(self.values[one.name])
                # A value that begins with a dash would be read as an option of its own.
                words += [f"--{one.name}={text}"] if text.startswith("-") else [f"--{one.name}", text]
        for architecture, options in self.options.items():
            for name, value in options.items():
                words += ["--option", f"{architecture}.{name}={value}"]
        return shlex.join(words)

    def _config(
        self, seed: int, architecture: str, recipe: str, learning_rate: float | None
    ) -> dict[str, Any]:
        of_this = {**self.values, "seed": seed, "recipe": recipe, "learning_rate": learning_rate}
        config: dict[str, Any] = {
            "seed_everything": seed,
            "trainer": {"max_epochs": None, "accelerator": "auto", "devices": self.devices},
            "model": {
                "architecture": architecture,
                "recipe": recipe,
                "options": dict(self.options.get(architecture, {})),
            },
            "data": {},
        }
        for one in settings.SETTINGS:
            value = of_this.get(one.name, one.default)
            if value is None and one.of_recipe:
                value = getattr(_recipe(architecture, recipe), one.of_recipe)
            section, _, key = one.place.partition(".")
            is_given = one.is_always_written or (value is not None and value != one.default)
            if is_given and section in ("trainer", "model", "data") and one.panel != "cluster":
                config[section][key] = list(value) if isinstance(value, tuple) else value
        return config if self.cluster is None else self.cluster.add_to(config)


def _recipe(architecture: str, recipe: str) -> Any:
    from lightning_modules import registry

    return registry.get(architecture).get_recipe(recipe)
