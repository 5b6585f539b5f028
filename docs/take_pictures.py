"""`make pictures`: take the README's pictures from the running program.

Trains the quick arena on the embedded digits (a few minutes), then visits every page in Chromium. The
pictures show what that arena measured here, nothing else.
"""

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from dashboard.home import QUICK_ARENA
from dashboard.navigation import discover_pages
from jobs.shutdown import shutdown
from jobs.submit import submit
from tests.browser.chromium import chromium, dashboard
from tracking import runs
from tracking.store import Store

PICTURES = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 1280, 800


def main() -> int:
    """Writes one PNG a page, and one of a run."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "mlruns").open()
        with dashboard(store.root) as address, chromium() as browser:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5)
            for config in QUICK_ARENA.configs():
                submit(store, config)
            wait_until_half_done(store)
            take(page, f"{address}/runs", "runs")
            running = runs.list_runs(store, ["RUNNING"])[0]
            # Without the log below, which names the folders of whoever takes the pictures.
            page.set_viewport_size({"width": WIDTH, "height": 620})
            take(page, f"{address}/runs?run={running.run_id}", "run")
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            while active := runs.list_runs(store, runs.ACTIVE_STATUSES):
                print(f"waiting for {', '.join(run.name for run in active)}", flush=True)
                time.sleep(10)
            for file in discover_pages():
                if file.url_path != "runs":
                    take(page, f"{address}/{file.url_path if file.order > 1 else ''}", file.url_path)
        list(shutdown(store))
    return 0


def wait_until_half_done(store: Store) -> None:
    """Returns when one run has finished and the next is well on its way."""
    while True:
        running = runs.list_runs(store, ["RUNNING"])
        if runs.list_runs(store, ["FINISHED"]) and running and running[0].progress > 0.5:
            return
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
