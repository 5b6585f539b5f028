"""Whole trainings, the way of the Launch page: submit, supervisor, training processes, MLflow.

The quick arena: four families on the embedded digits at 64 px, launched together. Target on two CPU cores:
five minutes in all, each at 8 % top-1 error or better on val. With a folder of small photographs (20
classes of Tiny ImageNet), ResNet-18 at 64 px, launched by hand in the browser, is to beat 75 % within ten
minutes; chance is 95 %.
"""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jobs.preflight.allowed_paths import VARIABLE
from jobs.submission.spec import JobSpec
from jobs.submission.submit import submit
from jobs.supervision.shutdown import shutdown
from jobs.supervision.supervisor import ensure_supervisor
from tests.browser.chromium import chromium, dashboard
from tracking import runs
from tracking.entities import ACTIVE_STATUSES
from tracking.runs import Run
from tracking.store import Store

QUICK_ARENA = JobSpec(("alexnet", "googlenet", "resnet18", "vgg16"))
LIMIT_S = 3600


def report() -> None:
    """Trains the quick arena and prints each run's error and duration, and the time in all."""
    print_runs(*train(partial(submit_all, QUICK_ARENA)), error_target=8, seconds_target=300)


def report_folder(root: Path) -> None:
    """Trains ResNet-18 on a folder, from the form in Chromium."""
    print_runs(*train(partial(launch_in_browser, root)), error_target=75, seconds_target=600)


def train(launch: Callable[[Store], None]) -> tuple[list[Run], float]:
    """Return the runs as they ended, and the seconds from launch to the end of the last."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "mlruns").open()
        start_s = time.monotonic()
        try:
            launch(store)
            while runs.list_runs(store, ACTIVE_STATUSES) and time.monotonic() - start_s < LIMIT_S:
                time.sleep(1)
            seconds = time.monotonic() - start_s
        finally:
            list(shutdown(store))
        return runs.list_runs(store), seconds


def submit_all(spec: JobSpec, store: Store) -> None:
    """Queues every network of an order."""
    for config in spec.configs():
        submit(store, config)
    ensure_supervisor(store)


def launch_in_browser(root: Path, store: Store) -> None:
    """Fill in the form: the folder by typing its path, one network, the defaults for all else."""
    os.environ[VARIABLE] = str(root.resolve())
    with dashboard(store.root) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}/launch?networks=resnet18&source=folder")
        field = page.get_by_placeholder("/path/to/imagenet")
        field.fill(str(root.resolve()))
        field.press("Enter")
        page.get_by_role("button", name="Launch 1 job").click(timeout=60_000)
        page.get_by_text("1 job in the queue").wait_for()


def print_runs(ended: list[Run], seconds: float, error_target: int, seconds_target: int) -> None:
    """Print a table, the first run first."""
    print(f"| network | status | epochs | val top-1 error % (target {error_target}) | training s |")
    print("|---|---|---|---|---|")
    for run in reversed(ended):
        error = run.metrics.get("val/error_top1", float("nan"))
        took_s = run.duration_s or 0
        print(f"| {run.architecture} | {run.status} | {run.max_epochs} | {error:.2f} | {took_s:.0f} |")
    print(f"\nin all: {seconds:.0f} s (target {seconds_target})")
