"""Stop all jobs, the supervisor and the MLflow UI."""

import argparse

from jobs.supervision.shutdown import shutdown
from tracking.store import Store

HELP = "stop all jobs, the supervisor and the MLflow UI"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments."""


def run(store: Store, options: argparse.Namespace) -> None:
    """Stop everything that works on this store."""
    for sentence in shutdown(store):
        print(sentence, flush=True)
