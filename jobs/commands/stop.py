"""Ask runs to save a checkpoint and stop; the supervisor sees to it."""

import argparse

from jobs import requests
from jobs.run_arguments import add_runs_argument, find_runs
from jobs.supervisor import ensure_supervisor
from tracking.store import Store

HELP = "ask runs to save a checkpoint and stop"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Write the requests."""
    for job in find_runs(store, options):
        requests.request_stop(store, job.run_id)
        print(f"{job.name} is asked to stop.")
    ensure_supervisor(store)
