"""Let runs that were stopped, or failed, go on from their checkpoints."""

import argparse

from jobs import requests
from jobs.run_arguments import add_runs_argument, find_runs
from jobs.supervisor import ensure_supervisor
from tracking.store import Store

HELP = "let runs that were stopped, or failed, go on from their checkpoints"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Put the runs back into the queue."""
    for job in find_runs(store, options):
        requests.resume(store, job.run_id)
        print(f"{job.name} goes on in its turn.")
    ensure_supervisor(store)
