"""List the runs, newest first."""

import argparse

from tracking import runs
from tracking.runs import Run
from tracking.store import Store

HELP = "list the runs, newest first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--all`."""
    parser.add_argument("--all", action="store_true", help="list all runs instead of the newest 30")


def run(store: Store, options: argparse.Namespace) -> None:
    """Print a table of the runs."""
    found = runs.list_runs(store)
    shown = found if options.all else found[:30]
    rows = [("RUN", "NAME", "STATUS", "PROGRESS", "TIME", "TOP-1 ERROR"), *(table_row(job) for job in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(shown) < len(found):
        print(f"Not shown: {len(found) - len(shown)} older runs (use --all).")


def table_row(job: Run) -> tuple[str, ...]:
    """Return a row of the table."""
    error = job.metrics.get("val/error_top1")
    return (
        job.run_id[:8],
        job.name,
        "STOPPING" if job.is_stopping else job.status,
        f"{job.progress:.0%}",
        "" if job.duration_s is None else f"{job.duration_s:.0f} s",
        "" if error is None else f"{error:.2f} %",
    )
