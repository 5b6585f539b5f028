"""The request for jobs from the form or the command line, which becomes one configuration for each job."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import inf
from typing import Any

from jobs.engines.slurm_options import SlurmOptions
from jobs.problems import BadValue
from jobs.submission import settings
from jobs.submission.kinds import Switch
from problems import InvalidValue


@dataclass(frozen=True, init=False)
class JobSpec:
    """A request for one job per architecture, recipe, learning rate and seed, with the same other settings.

    Args:
        architectures: The keys of the networks to train.
        options: Options of the networks by architecture, such as ``{"resnet50": {"stride_on": "3x3"}}``.
        values: Settings by their names in `jobs.submission.settings`. All others have their default values;
            every setting is an attribute.
        **more: Further settings.

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
        # Default values are not stored, so that equal requests compare equal.
        known = {one.name: one.default for one in settings.SETTINGS}
        kept = {name: given[name] for name in known if name in given and given[name] != known[name]}
        object.__setattr__(self, "values", kept)

    def __getattr__(self, name: str) -> Any:
        if name in {one.name for one in settings.SETTINGS}:
            return self.values.get(name, settings.setting(name).default)
        raise AttributeError(name)

    @property
    def cluster(self) -> SlurmOptions | None:
        """The options for a Slurm cluster, None to train on this machine."""
        asked = [one.name for one in settings.settings_of("cluster") if one.name in self.values]
        if not (self.slurm or asked):
            return None
        return SlurmOptions(
            self.nodes, self.gpus_per_node, self.partition, self.time, self.account, self.sbatch or {}
        )

    @property
    def num_jobs(self) -> int:
        """The number of configurations that `configs` returns."""
        rates = max(1, len(self.learning_rate))
        return len(self.architectures) * len(self.recipe) * rates * int(self.num_seeds)

    def configs(self) -> list[dict[str, Any]]:
        """Return the complete configuration of every job: all jobs of the first seed, then of the next.

        Raises:
            InvalidValue: No architecture or recipe is given, one is unknown or repeated, an option belongs to
                none of the architectures, or a number is too small.
        """
        for name in ("num_seeds", "accumulate"):
            if getattr(self, name) < 1:
                raise InvalidValue(BadValue.TOO_SMALL, name=name, value=getattr(self, name))
        for what, named in (("architecture", self.architectures), ("recipe", self.recipe)):
            if not named:
                raise InvalidValue(BadValue.NOTHING_TO_TRAIN, what=what)
        for rate in self.learning_rate:
            if not 0 < rate < inf:
                raise InvalidValue(BadValue.LEARNING_RATE, value=rate)
        for named in (self.architectures, self.recipe, self.learning_rate):
            if repeated := [value for value in named if named.count(value) > 1]:
                raise InvalidValue(BadValue.REPEATED, value=repeated[0])
        for key in self.options:
            if key not in self.architectures:
                raise InvalidValue(BadValue.OPTIONS_OF_ANOTHER, architecture=key)
        seeds = range(self.seed, self.seed + self.num_seeds)
        grid = product(seeds, self.architectures, self.recipe, self.learning_rate or (None,))
        return [self._config(*point) for point in grid]

    def configurations(self) -> list[dict[str, Any]]:
        """Return the configurations of the first seed, enough for checks. Raises as `configs`."""
        return self.change(num_seeds=1).configs()

    def change(self, **more: Any) -> "JobSpec":
        """Return a copy with other settings."""
        return JobSpec(self.architectures, self.options, {**self.values, **more})

    def command(self) -> str:
        """Return the shell command that submits the same jobs from the folder of the repository."""
        words = [".venv/bin/python", "-m", "jobs", "submit", *self.architectures]
        for one in settings.SETTINGS:
            if isinstance(one.kind, Switch):
                words += [f"--{one.name}"] if getattr(self, one.name) else []
            elif one.name in self.values:
                text = one.kind.write(self.values[one.name])
                # A separate value that begins with a dash would be read as an option.
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
