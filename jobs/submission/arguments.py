"""The description of jobs on a command line: the settings, or the YAML of a run."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from jobs.problems import BadValue
from jobs.submission.kinds import Switch, Whole
from jobs.submission.settings import SETTINGS, Setting
from jobs.submission.spec import JobSpec
from problems import InvalidValue


def add_spec_arguments(parser: argparse.ArgumentParser) -> None:
    """Add architectures, every setting, and options of the networks."""
    parser.add_argument(
        "architectures", nargs="*", metavar="ARCHITECTURE", help="networks, such as alexnet or resnet18"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the YAML of a run, instead of all other settings"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="ARCHITECTURE.NAME=VALUE",
        help="an option of a network; may be repeated",
    )
    cluster = parser.add_argument_group("settings for a Slurm cluster")
    for one in SETTINGS:
        group = cluster if one.name == "slurm" or one.panel == "cluster" else parser
        shown = f" (default: {one.shown_default})" if one.shown_default else ""
        text = f"{one.help}{shown}".replace("%", "%%")
        if isinstance(one.kind, Switch):
            group.add_argument(f"--{one.name}", action="store_true", help=text)
        else:
            metavar = "N" if isinstance(one.kind, Whole) else "VALUE"
            group.add_argument(
                f"--{one.name}", type=reader(one), default=one.default, metavar=metavar, help=text
            )


def reader(one: Setting) -> Callable[[str], Any]:
    """Return a function that reads a setting and raises argparse's own error for an invalid value."""

    def read(text: str) -> Any:
        try:
            return one.read(text)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from None

    return read


def spec_from(options: argparse.Namespace) -> JobSpec:
    """Return the jobs that the command line describes.

    Raises:
        InvalidValue: An option of a network is not `ARCHITECTURE.NAME=VALUE`.
    """
    by_architecture: dict[str, dict[str, str]] = {}
    for option in options.option:
        name, equals, value = option.partition("=")
        architecture, dot, name = name.partition(".")
        if not (equals and dot and architecture and name):
            raise InvalidValue(BadValue.OPTION, option=option)
        by_architecture.setdefault(architecture, {})[name] = value
    values = {one.name: getattr(options, one.name) for one in SETTINGS}
    return JobSpec(options.architectures, by_architecture, values)


def read_config(options: argparse.Namespace) -> dict[str, Any] | None:
    """Read the file given with `--config`; return None if there is none.

    Raises:
        InvalidValue: The file is not a configuration, or architectures are given as well.
    """
    if options.config is None:
        return None
    if options.architectures:
        raise InvalidValue(BadValue.CONFIG_AND_ARCHITECTURES)
    try:
        config = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidValue(BadValue.NOT_YAML, file=options.config, reason=reason) from error
    if not isinstance(config, dict):
        raise InvalidValue(BadValue.NOT_A_CONFIG, file=options.config)
    return config
