"""Show what a job has printed, and follow its output."""

import argparse
import time

from jobs.commands import add_run_argument
from jobs.host.logs import read_log
from tracking import runs
from tracking.store import Store

HELP = "show what a job has printed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, `--lines` and `--follow`."""
    add_run_argument(parser)
    parser.add_argument("--lines", type=int, default=200, help="the number of last lines (default: 200)")
    parser.add_argument("--follow", action="store_true", help="continue until the job ends")


def run(store: Store, options: argparse.Namespace) -> None:
    """Print the log and, with `--follow`, what is added to it."""
    run_id = runs.find_run(store, options.name).run_id
    print(read_log(store, run_id, options.lines))
    file = store.log_file(run_id)
    position = file.stat().st_size if file.exists() else 0
    while options.follow and runs.get_run(store, run_id).is_active:
        time.sleep(0.5)
        if file.exists():
            with file.open(encoding="utf-8", errors="replace") as log:
                log.seek(position)
                print(log.read(), end="", flush=True)
                position = log.tell()
