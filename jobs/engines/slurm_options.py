"""What a job asks of a Slurm cluster, as fields of its specification and of its YAML."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import mul
from typing import Any

from jobs.problems import BadValue
from problems import InvalidValue

# Without blanks and quotes, a value is always a single word.
_NAME = re.compile(r"[a-z][a-z-]*")
_WORD = re.compile(r"[A-Za-z0-9_.,:;@/+=%&|*\[\]()-]+")
_TIME = re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}")
# Fields of the form, or what the engine itself relies on.
_TAKEN = (
    "account", "array", "chdir", "comment", "error", "export", "export-file", "get-user-env", "gpus-per-node",
    "clusters", "help", "job-name", "nodes", "ntasks", "ntasks-per-node", "no-requeue", "open-mode", "output",
    "parsable", "partition", "requeue", "signal", "test-only", "time", "version", "wait", "wrap",
)  # fmt: skip


@dataclass(frozen=True)
class SlurmOptions:
    """Where and how long on the cluster; what is None is left to the cluster's own default.

    Attributes:
        nodes: How many machines work on a job together.
        gpus_per_node: On each; 0 asks for none.
        partition: One, or several with commas.
        time: As sbatch reads it: minutes, `HH:MM:SS` or `DAYS-HH:MM:SS`.
        account: Who is charged.
        extra: Further options of sbatch by their long names, such as `{"constraint": "a100"}`.
    """

    nodes: int = 1
    gpus_per_node: int = 0
    partition: str | None = None
    time: str | None = None
    account: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Check the values and the names of further options.

        Raises:
            ValueError: One sentence about the first thing that is wrong.
        """
        for name, number, least in (("nodes", self.nodes, 1), ("gpus_per_node", self.gpus_per_node, 0)):
            if not isinstance(number, int) or number < least:
                raise InvalidValue(BadValue.CLUSTER_NUMBER, name=name, value=number, lowest=least)
        if self.time is not None and not _TIME.fullmatch(self.time):
            raise InvalidValue(BadValue.TIME_LIMIT, time=self.time)
        for name, value in (("partition", self.partition), ("account", self.account), *self.extra.items()):
            if not _NAME.fullmatch(name) or (name in self.extra and _is_taken(name)):
                raise InvalidValue(BadValue.SBATCH_OPTION, name=name)
            if value is not None and not _WORD.fullmatch(str(value)):
                raise InvalidValue(BadValue.NOT_ONE_WORD, name=name, value=value)

    @property
    def limit_s(self) -> float:
        """The time limit in seconds, rounded up to minutes like in Slurm; infinity without a limit."""
        days, _, rest = (self.time or "0").rpartition("-")
        numbers = [int(number) for number in rest.split(":")]
        # After days, and where they are three, hours come first, otherwise minutes.
        units = (3600, 60, 1) if days or len(numbers) == 3 else (60, 1)
        given_s = int(days or 0) * 86400 + sum(map(mul, numbers, units))
        return math.ceil(given_s / 60) * 60 or math.inf  # 0 asks for no limit

    def add_to(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration with these options; the trainer's `devices` are those of each node.

        Raises:
            InvalidValue: An option cannot be passed to sbatch.
        """
        self.check()
        devices = self.gpus_per_node or config["trainer"]["devices"]
        if not isinstance(devices, int):
            raise InvalidValue(BadValue.NO_GPUS_PER_NODE)
        given = {
            "gpus_per_node": self.gpus_per_node or None,
            "partition": self.partition,
            "time": self.time,
            "account": self.account,
            "extra": dict(self.extra) or None,
        }
        return {
            **config,
            "trainer": {**config["trainer"], "devices": devices, "num_nodes": self.nodes},
            "slurm": {name: value for name, value in given.items() if value is not None},
        }


def _is_taken(name: str) -> bool:
    # sbatch takes the beginning of a long name for the whole where it is no other option.
    return name != "gpus" and any(taken.startswith(name) for taken in _TAKEN)


def read_options(config: Mapping[str, Any]) -> SlurmOptions | None:
    """Return the options in the YAML of a run, None if it is not for a cluster.

    Raises:
        InvalidValue: A name or value cannot be passed to sbatch.
    """
    section = config.get("slurm")
    if section is None:
        return None
    known = SlurmOptions().__dict__.keys() - {"nodes"}
    if not isinstance(section, Mapping) or (unknown := sorted(set(section) - known)):
        wrong = ", ".join(unknown) if isinstance(section, Mapping) else repr(section)
        raise InvalidValue(BadValue.SLURM_KEYS, unknown=wrong, known=", ".join(sorted(known)))
    time = section.get("time")
    if isinstance(time, int) and time >= 3600:  # as a number of minutes it would be days
        raise InvalidValue(BadValue.TIME_UNQUOTED, time=time)
    words = {
        name: str(section[name]) for name in ("partition", "time", "account") if section.get(name) is not None
    }
    extra = {str(name): str(value) for name, value in (section.get("extra") or {}).items()}
    nodes = config.get("trainer", {}).get("num_nodes", 1)
    options = SlurmOptions(nodes, section.get("gpus_per_node", 0), extra=extra, **words)
    options.check()
    return options


def parse_extra(text: str) -> dict[str, str]:
    """Read additional options such as `constraint=a100 --mem=32G`.

    Raises:
        InvalidValue: A word is not `NAME=VALUE`.
    """
    extra = {}
    for word in text.split():
        name, equals, value = word.removeprefix("--").partition("=")
        if not (name and equals and value):
            raise InvalidValue(BadValue.NAME_VALUE, word=word)
        extra[name] = value
    return extra


def write_extra(extra: Mapping[str, str]) -> str:
    """Write additional options in the form that `parse_extra` reads."""
    return " ".join(f"{name}={value}" for name, value in extra.items())
