"""Let runs that were stopped, or failed, go on from their checkpoints."""

import argparse

from jobs.commands import add_runs_argument, find_runs, for_each
from jobs.submission import requests
from jobs.supervision.supervisor import ensure_supervisor
from tracking.store import Store

HELP = "let runs that were stopped, or failed, go on from their checkpoints"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Put the runs back into the queue."""
    named = find_runs(store, options)
    try:
        for_each(store, named, requests.resume, "goes on in its turn.")
    finally:
        ensure_supervisor(store)
