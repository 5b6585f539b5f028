"""Let held runs start in their turn."""

import argparse

from jobs.commands import add_runs_argument, find_runs, for_each
from jobs.scheduling import queue
from tracking.store import Store

HELP = "let held runs start in their turn"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Release the runs."""
    for_each(store, find_runs(store, options), queue.release, "starts in its turn.")
