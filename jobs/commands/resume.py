"""Resume runs that failed or were stopped from their checkpoints."""

import argparse

from jobs.commands import add_runs_argument, find_runs, for_each
from jobs.submission import requests
from jobs.supervision.supervisor import ensure_supervisor
from tracking.store import Store

HELP = "resume runs that failed or were stopped from their checkpoints"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Put the runs back into the queue."""
    named = find_runs(store, options)
    try:
        for_each(store, named, requests.resume, "is back in the queue.")
    finally:
        ensure_supervisor(store)
