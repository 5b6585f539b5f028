"""Move a waiting run in the queue, and show the queue."""

import argparse
from typing import get_args

from jobs.commands import add_run_argument
from jobs.scheduling import queue
from tracking import runs
from tracking.entities import ACTIVE_STATUSES
from tracking.store import Store

HELP = "move a waiting run in the queue"
# The value of `--after` that removes the condition.
NONE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the direction, `--priority` and `--after`."""
    add_run_argument(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("direction", nargs="?", choices=get_args(queue.Direction), help="where to move it")
    where.add_argument(
        "--priority", type=int, help="set the priority (default: 0); higher priorities start first"
    )
    where.add_argument(
        "--after",
        metavar="RUN",
        help=f"start only after the end of that run, whatever its result; {NONE} removes the condition",
    )


def run(store: Store, options: argparse.Namespace) -> None:
    """Move the run and print the queue."""
    job = runs.find_run(store, options.name)
    if options.after is not None:
        before = None if options.after == NONE else runs.find_run(store, options.after).run_id
        queue.start_after(store, job.run_id, before)
    elif options.priority is not None:
        queue.prioritise(store, job.run_id, options.priority)
    else:
        queue.move(store, job.run_id, options.direction)
    active = {one.run_id: one for one in runs.list_runs(store, ACTIVE_STATUSES)}
    for place, one in enumerate(queue.line_with(job, active.values()), 1):
        print(f"{place}  {one.run_id[:8]}  {one.name}  {queue.obstacle(one, active)}")
