"""Move a waiting run in the queue, and show the queue."""

import argparse
from typing import get_args

from jobs.commands import add_run_argument
from jobs.scheduling import queue
from tracking import runs
from tracking.entities import ACTIVE_STATUSES
from tracking.store import Store

HELP = "move a waiting run in the queue"
# Takes back `--after`.
NOBODY = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and where to."""
    add_run_argument(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("direction", nargs="?", choices=get_args(queue.Direction), help="where to")
    where.add_argument("--priority", type=int, help="before all of a lower one; 0 unless set")
    where.add_argument(
        "--after", metavar="RUN", help="start when that one has ended, however it did; or none"
    )


def run(store: Store, options: argparse.Namespace) -> None:
    """Change the place of the run, and print the queue."""
    job = runs.find_run(store, options.name)
    if options.after is not None:
        before = None if options.after == NOBODY else runs.find_run(store, options.after).run_id
        queue.start_after(store, job.run_id, before)
    elif options.priority is not None:
        queue.prioritise(store, job.run_id, options.priority)
    else:
        queue.move(store, job.run_id, options.direction)
    active = {one.run_id: one for one in runs.list_runs(store, ACTIVE_STATUSES)}
    for place, one in enumerate(queue.line_with(job, active.values()), 1):
        print(f"{place}  {one.run_id[:8]}  {one.name}  {queue.obstacle(one, active)}")
