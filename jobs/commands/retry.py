"""Queue a run once more with smaller batches, and as many of them a step as make it as large as before."""

import argparse

from jobs.commands import add_run_argument
from jobs.submission.retry import describe_step, retry
from jobs.supervision.supervisor import ensure_supervisor
from tracking import runs
from tracking.store import Store

HELP = "queue a run once more with smaller batches, added up"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and how small."""
    add_run_argument(parser)
    parser.add_argument("--batch_size", type=int, help="what the run says would fit, or half")


def run(store: Store, options: argparse.Namespace) -> None:
    """Queue the run."""
    before = runs.find_run(store, options.name)
    run_id = retry(store, before.run_id, options.batch_size)
    ensure_supervisor(store)
    again = runs.get_run(store, run_id)
    print(f"{run_id}  {again.name}  {describe_step(before, again)}")
