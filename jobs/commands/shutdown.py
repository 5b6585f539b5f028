"""Stop all jobs, the supervisor and MLflow's page."""

import argparse

from jobs.supervision.shutdown import shutdown
from tracking.store import Store

HELP = "stop all jobs, the supervisor and MLflow's page"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing."""


def run(store: Store, options: argparse.Namespace) -> None:
    """Stop everything that works on this store."""
    for sentence in shutdown(store):
        print(sentence, flush=True)
