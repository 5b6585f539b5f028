"""How soon ``make run`` shows the page, and what a rerun of an idle page costs.

Targets on two CPU cores: the page within 6 s of a second ``make run``, a rerun under 60 ms.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from jobs.supervision.shutdown import shutdown
from jobs.supervision.supervisor import ensure_supervisor
from tracking import records
from tracking.layout import REPOSITORY
from tracking.store import Store

NUM_RUNS = 30
NUM_STEPS = 50
APP = REPOSITORY / "dashboard" / "app.py"


def report(num_rounds: int = 5) -> None:
    """Print both."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "mlruns").open()
        fill(store)
        os.environ["ARENA_MLRUNS"] = str(store.root)
        try:
            ensure_supervisor(store)
            seconds = [time_start(store) for _ in range(num_rounds)]
            print(f"make run to a rendered Home: median {statistics.median(seconds):.2f} s, ", end="")
            print(f"worst {max(seconds):.2f} s (target 6)\n")
            print("| page | rerun, median ms | worst of 20 (target 60) |")
            print("|---|---|---|")
            for page in sorted((REPOSITORY / "dashboard" / "app_pages").glob("*.py")):
                milliseconds = time_reruns(page)
                print(f"| {page.stem} | {statistics.median(milliseconds):.0f} | {max(milliseconds):.0f} |")
        finally:
            list(shutdown(store))


def fill(store: Store) -> None:
    """Write finished runs with curves, as a training process would."""
    for number in range(NUM_RUNS):
        architecture = ("alexnet", "vgg16", "googlenet", "resnet18")[number % 4]
        config = {
            "seed_everything": number,
            "trainer": {"max_epochs": 5, "accelerator": "auto", "devices": 1},
            "model": {"architecture": architecture, "recipe": "quick", "options": {}},
            "data": {"source": "digits", "root": None, "image_size": 64, "batch_size": 32},
        }
        run_id = records.create_run(store, config, status="RUNNING")
        found = {"network.parameters": 10**7, "network.macs": 10**8, "steps_per_epoch": 10, "steps_total": 50}
        records.log_params(store, run_id, found | {"images_per_step": 32})
        for step in range(10, NUM_STEPS + 1, 10):
            values = {f"{split}/error_top{k}": 100 / step for split in ("train", "val") for k in (1, 5)}
            values |= {"train/loss": 2 / step, "val/loss": 2 / step, "train/images_per_s": 90.0}
            records.log_metrics(store, run_id, values, step)
        records.set_status(store, run_id, "FINISHED")


def time_start(store: Store) -> float:
    """Return the seconds from ``make run`` until a browser shows Home's content."""
    from tests.browser.chromium import chromium, dashboard

    with chromium() as browser:
        page = browser.new_page()
        start_s = time.perf_counter()
        with dashboard(store.root, ("make", "run")) as address:
            page.goto(address)
            page.get_by_text("Best top-1 error per architecture").wait_for()
            return time.perf_counter() - start_s


def time_reruns(page: Path, count: int = 20) -> list[float]:
    """Return the milliseconds of the script's runs after the first, without the browser's part."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=60)
    app.switch_page(f"app_pages/{page.name}")
    app.run()
    times = []
    for _ in range(count):
        start_s = time.perf_counter()
        app.run()
        times.append(1000 * (time.perf_counter() - start_s))
    return times
