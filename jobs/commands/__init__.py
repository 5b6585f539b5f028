"""The commands of `python -m jobs`, one per file, found by the file's name.

Each file has `HELP` (one line), `add_arguments(parser)` and `run(store, options)`, which raises a Problem or
a ValueError for errors of the user; only its sentence is printed.
"""

import argparse
from collections.abc import Callable, Iterable

from problems import InvalidValue
from tracking import runs
from tracking.runs import Run
from tracking.store import Store

RUN_HELP = "the name of a run or the beginning of its id"


def for_each(store: Store, named: Iterable[Run], act: Callable[[Store, str], None], done: str) -> None:
    """Apply an action to each run; if it fails for some of them, continue with the others.

    Args:
        store: The store with the runs.
        named: The runs from the command line.
        act: The action, which takes the store and the id of a run.
        done: What to print after the name of each run.

    Raises:
        InvalidValue: The action failed for some of the runs; one sentence for each.
    """
    refusals = []
    for run in named:
        try:
            act(store, run.run_id)
        except InvalidValue as refusal:
            refusals.append(refusal)
        else:
            print(f"{run.name} {done}")
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise InvalidValue("\n".join(map(str, refusals)))


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument `name` for one run (`run` is the function of the command)."""
    parser.add_argument("name", metavar="RUN", help=RUN_HELP)


def add_runs_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument `runs` for one or more runs."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)


def find_runs(store: Store, options: argparse.Namespace) -> list[Run]:
    """Return the runs from the command line. Raises InvalidValue for a missing or an ambiguous name."""
    return [runs.find_run(store, name) for name in options.runs]
