"""The quick arena: four families on the embedded digits at 64 px, launched together.

Target on two CPU cores: five minutes in all, each at 8 % top-1 error or better on val. It goes the way of
the Launch page: submit, supervisor, training processes, MLflow.
"""

import tempfile
import time
from pathlib import Path

from jobs.shutdown import shutdown
from jobs.spec import JobSpec
from jobs.submit import submit
from jobs.supervisor import ensure_supervisor
from tracking import runs
from tracking.store import Store

ARCHITECTURES = ("alexnet", "googlenet", "resnet18", "vgg16")
LIMIT_S = 3600


def report(architectures: tuple[str, ...] = ARCHITECTURES) -> None:
    """Prints each run's error and duration, and the time from launch to the last one's end."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder)).open()
        start_s = time.monotonic()
        for config in JobSpec(architectures=architectures).configs():
            submit(store, config)
        ensure_supervisor(store)
        try:
            while runs.list_runs(store, runs.ACTIVE_STATUSES) and time.monotonic() - start_s < LIMIT_S:
                time.sleep(1)
            seconds = time.monotonic() - start_s
        finally:
            list(shutdown(store))
        print("| network | status | epochs | val top-1 error % (target 8) | training s |")
        print("|---|---|---|---|---|")
        for run in reversed(runs.list_runs(store)):
            error = run.metrics.get("val/error_top1", float("nan"))
            seconds_of_run = run.duration_s or 0
            print(
                f"| {run.architecture} | {run.status} | {run.max_epochs} | {error:.2f} "
                f"| {seconds_of_run:.0f} |"
            )
        print(f"\nall four: {seconds:.0f} s (target 300)")
