"""Queue a run once more with smaller batches, as many of them a step as leave the step as large as it was."""

import argparse

from jobs.retry import retry
from jobs.run_arguments import add_run_argument
from jobs.supervisor import ensure_supervisor
from tracking import runs
from tracking.store import Store

HELP = "queue a run once more with smaller batches, added up"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and how small."""
    add_run_argument(parser)
    parser.add_argument("--batch_size", type=int, help="what the run says would fit, or half")


def run(store: Store, options: argparse.Namespace) -> None:
    """Queue the run."""
    run_id = retry(store, runs.find_run(store, options.run).run_id, options.batch_size)
    ensure_supervisor(store)
    print(f"{run_id}  {runs.get_run(store, run_id).name}")
