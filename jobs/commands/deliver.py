"""Upload what is pending on this machine to the tracking server: records, and checkpoints of finished runs.

The supervisor does this automatically; use this command on a machine without a supervisor.
"""

import argparse
import os

from filelock import FileLock, Timeout

from jobs.problems import Launch, LaunchError
from tracking import uploads
from tracking.spool import deliver_left
from tracking.store import Store

HELP = "upload what is pending on this machine to the tracking server"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments."""


def run(store: Store, options: argparse.Namespace) -> None:
    """Upload everything. Raises LaunchError if another process is already doing so."""
    os.nice(10)  # training has priority
    store.open()
    try:
        with FileLock(store.root / "deliver.lock", timeout=0):
            deliver_left(store)
            for run_id in uploads.list_due(store):
                file = uploads.upload(store, run_id)
                if file is not None:
                    print(f"{run_id}: uploaded {file.name} ({file.stat().st_size:,} bytes).", flush=True)
    except Timeout as error:
        raise LaunchError(Launch.DELIVERY_RUNS, root=store.root) from error
