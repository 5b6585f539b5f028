"""Deliver to the tracking server what waits on this machine: records, and checkpoints of finished runs.

The supervisor does so by itself; this is for a machine where none runs.
"""

import argparse
import os

from filelock import FileLock, Timeout

from jobs.errors import LaunchError
from tracking import uploads
from tracking.spool import deliver_left
from tracking.store import Store

HELP = "deliver to the tracking server what waits on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing."""


def run(store: Store, options: argparse.Namespace) -> None:
    """Deliver all of it. Raises LaunchError where another process does so."""
    os.nice(10)  # trainings come first
    store.open()
    try:
        with FileLock(store.root / "deliver.lock", timeout=0):
            deliver_left(store)
            for run_id in uploads.list_due(store):
                file = uploads.upload(store, run_id)
                if file is not None:
                    print(f"{run_id}: {file.name} has arrived, {file.stat().st_size:,} bytes.", flush=True)
    except Timeout as error:
        raise LaunchError(f"Another process delivers what waits in {store.root} already.") from error
