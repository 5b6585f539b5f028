"""Keep waiting runs from starting."""

import argparse

from jobs.commands import add_runs_argument, find_runs, for_each
from jobs.scheduling import queue
from tracking.store import Store

HELP = "keep waiting runs from starting"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Hold the runs."""
    for_each(store, find_runs(store, options), queue.hold, "is held until it is released.")
