"""What `python -m jobs` can do: one file a command, found by its name.

Each file has `HELP` (one line), `add_arguments(parser)` and `run(store, options)`. The latter raises
LaunchError, StoreUnavailable or ValueError for what a user can put right; the message is all that is
printed then.
"""

import argparse
from collections.abc import Callable, Iterable

from tracking import runs
from tracking.runs import Run
from tracking.store import Store

RUN_HELP = "name or beginning of the id"


def for_each(store: Store, named: Iterable[Run], act: Callable[[Store, str], None], done: str) -> None:
    """Do something with each run; where it is not possible, the others still get it.

    Args:
        store: Where they are.
        named: By the command line.
        act: Takes the store and a run's id.
        done: What to print after a run's name.

    Raises:
        ValueError: It was not possible with some of them; a sentence for each.
    """
    problems = []
    for run in named:
        try:
            act(store, run.run_id)
        except ValueError as problem:
            problems.append(str(problem))
        else:
            print(f"{run.name} {done}")
    if problems:
        raise ValueError("\n".join(problems))


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """One run, as `name`: `run` is the command itself."""
    parser.add_argument("name", metavar="RUN", help=RUN_HELP)


def add_runs_argument(parser: argparse.ArgumentParser) -> None:
    """One run or several, as `runs`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)


def find_runs(store: Store, options: argparse.Namespace) -> list[Run]:
    """All that were named. Raises ValueError for a name that none has, or several have."""
    return [runs.find_run(store, name) for name in options.runs]
