"""Release held runs, so that they start when they are next in the queue."""

import argparse

from jobs.commands import add_runs_argument, find_runs, for_each
from jobs.scheduling import queue
from tracking.store import Store

HELP = "release held runs"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Release the runs."""
    for_each(store, find_runs(store, options), queue.release, "is no longer held.")
