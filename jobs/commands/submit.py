"""Queue jobs: networks x recipes x learning rates x seeds, or what a run's YAML says."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from jobs import preflight
from jobs.errors import LaunchError
from jobs.machine import describe_machine
from jobs.spec_arguments import add_spec_arguments, spec_from
from jobs.submit import check_config, submit_group
from jobs.supervisor import ensure_supervisor, find_supervisor
from tracking import runs
from tracking.store import Store

HELP = "queue jobs: networks x recipes x learning rates x seeds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What describes the jobs."""
    add_spec_arguments(parser)
    parser.add_argument("--hold", action="store_true", help="start nothing before `release`")
    parser.add_argument("--anyway", action="store_true", help="also what does not fit, by `check`")


def run(store: Store, options: argparse.Namespace) -> None:
    """Check every configuration, then queue them all."""
    if options.config and options.architectures:
        raise ValueError("--config names everything itself; leave out the architectures.")
    configs = [read_yaml(options.config)] if options.config else spec_from(options).configs()
    for config in configs[:1] if options.config else spec_from(options).configurations():
        check_config(config)
    store.open()
    if not (options.config or options.anyway):
        answers = preflight.check_all(store, configs, describe_machine(), runs.list_ours(store))
        wrong = [answer.text for answer in answers if answer.verdict is False]
        if wrong:
            raise LaunchError(f"{' '.join(wrong)} With --anyway they are queued as they are.")
    started = find_supervisor(store) is None
    ensure_supervisor(store)
    if started:
        print(f"Started the supervisor of {store.root}; `python -m jobs shutdown` ends it.", file=sys.stderr)
    for run_id in submit_group(store, configs, held=options.hold):
        print(f"{run_id}  {runs.get_run(store, run_id).name}")


def read_yaml(file: Path) -> dict[str, Any]:
    """A run's configuration. Raises ValueError when the file holds none."""
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read as YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} is not a run's YAML: it has to have the keys trainer, model and data.")
    return config
