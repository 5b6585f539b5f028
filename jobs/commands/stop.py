"""Ask runs to save a checkpoint and stop; the supervisor makes sure that they do."""

import argparse

from jobs.commands import add_runs_argument, find_runs, for_each
from jobs.submission import requests
from jobs.supervision.supervisor import ensure_supervisor
from tracking.store import Store

HELP = "ask runs to save a checkpoint and stop"
add_arguments = add_runs_argument


def run(store: Store, options: argparse.Namespace) -> None:
    """Record the requests."""
    named = find_runs(store, options)
    try:
        for_each(store, named, requests.request_stop, "was asked to stop.")
    finally:
        ensure_supervisor(store)
