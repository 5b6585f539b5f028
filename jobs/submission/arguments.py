"""What describes jobs on a command line: the settings, or a run's YAML."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from jobs.submission.kinds import Switch, Whole
from jobs.submission.settings import SETTINGS, Setting
from jobs.submission.spec import JobSpec


def add_spec_arguments(parser: argparse.ArgumentParser) -> None:
    """Take architectures, every setting, and options of the networks."""
    parser.add_argument(
        "architectures", nargs="*", metavar="ARCHITECTURE", help="such as alexnet or resnet18"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="a run's YAML, instead of all the rest")
    parser.add_argument(
        "--option", action="append", default=[], metavar="ARCHITECTURE.NAME=VALUE", help="may be repeated"
    )
    cluster = parser.add_argument_group("on a Slurm cluster")
    for one in SETTINGS:
        group = cluster if one.name == "slurm" or one.panel == "cluster" else parser
        shown = f" ({one.shown_default})" if one.shown_default else ""
        text = f"{one.help}{shown}".replace("%", "%%")
        if isinstance(one.kind, Switch):
            group.add_argument(f"--{one.name}", action="store_true", help=text)
        else:
            metavar = "N" if isinstance(one.kind, Whole) else "VALUE"
            group.add_argument(
                f"--{one.name}", type=reader(one), default=one.default, metavar=metavar, help=text
            )


def reader(one: Setting) -> Callable[[str], Any]:
    """Return what reads a setting, and says in one sentence what it must be."""

    def read(text: str) -> Any:
        try:
            return one.read(text)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from None

    return read


def spec_from(options: argparse.Namespace) -> JobSpec:
    """What the command line describes. Raises ValueError when an option is not `ARCHITECTURE.NAME=VALUE`."""
    by_architecture: dict[str, dict[str, str]] = {}
    for option in options.option:
        name, equals, value = option.partition("=")
        architecture, dot, name = name.partition(".")
        if not (equals and dot and architecture and name):
            raise ValueError(f"--option {option!r} must read ARCHITECTURE.NAME=VALUE.")
        by_architecture.setdefault(architecture, {})[name] = value
    values = {one.name: getattr(options, one.name) for one in SETTINGS}
    return JobSpec(options.architectures, by_architecture, values)


def read_config(options: argparse.Namespace) -> dict[str, Any] | None:
    """What the YAML says that `--config` names, None where it is not given.

    Raises:
        ValueError: The file holds no configuration, or architectures are named beside it.
    """
    if options.config is None:
        return None
    if options.architectures:
        raise ValueError("--config names everything itself; leave out the architectures.")
    try:
        config = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{options.config} cannot be read as YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(config, dict):
        raise ValueError(
            f"{options.config} is not a run's YAML: it has to have the keys trainer, model and data."
        )
    return config
