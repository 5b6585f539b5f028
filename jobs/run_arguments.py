"""What names runs on a command line: a name, or the beginning of an id."""

import argparse

from tracking import runs
from tracking.runs import Run
from tracking.store import Store

HELP = "name or beginning of the id"


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """One run, as `run`."""
    parser.add_argument("run", metavar="RUN", help=HELP)


def add_runs_argument(parser: argparse.ArgumentParser) -> None:
    """One run or several, as `runs`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help=HELP)


def find_runs(store: Store, options: argparse.Namespace) -> list[Run]:
    """All that were named. Raises ValueError for a name that none has, or several have."""
    return [runs.find_run(store, name) for name in options.runs]
