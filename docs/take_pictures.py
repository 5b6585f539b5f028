"""`make pictures`: take the README's pictures from the running program.

Trains the quick arena on the embedded digits twice, with two seeds (some ten minutes), and visits every page
in Chromium. The pictures show what that arena measured here, nothing else.
"""

import os
import re
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Page
from sklearn.datasets import load_sample_images

from dashboard.data.frame import SIGHT
from dashboard.home.view import QUICK_ARENA
from dashboard.known_folders import add_folder
from dashboard.navigation import discover_pages
from jobs.preflight.allowed_paths import VARIABLE
from jobs.submission.submit import submit_group
from jobs.supervision.shutdown import shutdown
from tests.browser.chromium import chromium, dashboard
from tracking import runs
from tracking.entities import ACTIVE_STATUSES
from tracking.store import Store

PICTURES = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 1280, 800


def main() -> int:
    """Write one PNG a page, and one of a run."""
    with tempfile.TemporaryDirectory(prefix="convnet-arena-") as folder:
        os.environ[VARIABLE] = folder
        store = Store(Path(folder) / "mlruns").open()
        with dashboard(store.root) as address, chromium() as browser:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5)
            twice = replace(QUICK_ARENA, num_seeds=2).configs()
            # Every network once, then again: the second time it is known how long each takes.
            submit_group(store, sorted(twice, key=lambda config: config["seed_everything"]))
            wait_until_half_done(store, done=5)
            take(page, f"{address}/runs", "runs")
            running = runs.list_runs(store, ["RUNNING"])[0]
            # Without the log below, which names the folders of whoever takes the pictures.
            page.set_viewport_size({"width": WIDTH, "height": 620})
            take(page, f"{address}/runs?run={running.run_id}", "run")
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            while active := runs.list_runs(store, ACTIVE_STATUSES):
                print(f"waiting for {', '.join(run.name for run in active)}", flush=True)
                time.sleep(10)
            for file in discover_pages():
                if file.url_path not in ("runs", "data"):
                    take(page, f"{address}/{file.url_path if file.order > 1 else ''}", file.url_path)
            take_data(page, address, store, Path(folder))
        list(shutdown(store))
    return 0


def take_data(page: Page, address: str, store: Store, folder: Path) -> None:
    """Show two photographs that come with scikit-learn as networks see them."""
    photographs = load_sample_images()
    for name, pixels in zip(photographs.filenames, photographs.images, strict=True):
        for split in ("train", "val"):
            place = folder / "photographs" / split / Path(name).stem
            place.mkdir(parents=True)
            Image.fromarray(pixels).save(place / Path(name).name)
    added = add_folder(store, "folder", str((folder / "photographs").resolve()))
    query = urlencode({"set": added.key, "section": SIGHT, "image": 1})
    page.goto(f"{address}/data?{query}")
    page.get_by_alt_text(re.compile("^heavy 5")).wait_for()
    page.wait_for_timeout(4000)
    # Past the name of the folder, which is that of whoever takes the pictures.
    page.get_by_test_id("stMain").evaluate("main => main.scrollBy(0, 330)")
    page.wait_for_timeout(1000)
    # A photograph as PNG would take more than all the other pictures together.
    page.screenshot(path=PICTURES / "data.jpg", type="jpeg", quality=85)
    print("docs/pictures/data.jpg", flush=True)


def wait_until_half_done(store: Store, done: int) -> None:
    """Return when so many runs have finished and the next is well on its way."""
    while len(runs.list_runs(store, ["FINISHED"])) < done or not any(
        run.progress > 0.4 for run in runs.list_runs(store, ["RUNNING"])
    ):
        time.sleep(1)


def take(page: Page, address: str, name: str) -> None:
    """Visits a page, lets it settle and keeps what one sees first."""
    page.goto(address)
    page.get_by_test_id("stHeading").first.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(4000)
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"docs/pictures/{name}.png", flush=True)


if __name__ == "__main__":
    sys.exit(main())
