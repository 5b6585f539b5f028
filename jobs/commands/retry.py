"""Retry a run with smaller batches, more of which are accumulated per step."""

import argparse

from jobs.commands import add_run_argument
from jobs.submission.retry import describe_step, retry
from jobs.supervision.supervisor import ensure_supervisor
from tracking import runs
from tracking.store import Store

HELP = "retry a run with smaller batches"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run and `--batch_size`."""
    add_run_argument(parser)
    parser.add_argument(
        "--batch_size",
        type=int,
        help="default: the size suggested by the run, or else half of its batch size",
    )


def run(store: Store, options: argparse.Namespace) -> None:
    """Queue the copy of the run."""
    before = runs.find_run(store, options.name)
    run_id = retry(store, before.run_id, options.batch_size)
    ensure_supervisor(store)
    again = runs.get_run(store, run_id)
    print(f"{run_id}  {again.name}  {describe_step(before, again)}")
