"""How soon the Architectures page shows its gallery, an opened ledger, and four networks side by side.

Targets on two CPU cores, in Chromium once the server has measured the networks: the first view within 1.5 s,
a ledger and four networks side by side within 1 s each.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page

from jobs.supervision.shutdown import shutdown
from lightning_modules import registry
from tracking.store import Store

WARM_TIMEOUT_MS = 300_000
# Nothing of the drawing, the bars or the table may be missing when a ledger counts as opened.
OPENED = """() => document.querySelector('.drawing svg')
    && document.querySelectorAll('.stage-bars tr').length > 2
    && document.querySelector('[data-testid="stDataFrame"] canvas')"""
COUNTED = f"""() => document.querySelectorAll('.card').length == {len(registry.architectures())}
    && document.querySelectorAll('[class*="st-key-card-"] button').length == {len(registry.architectures())}
    && ![...document.querySelectorAll('.card')].some(card => card.textContent.includes('counting'))"""
SET_SIDE_BY_SIDE = """() => document.querySelectorAll('.stacked-bars').length == 3
    && document.querySelector('[data-testid="stDataFrame"] canvas')"""


def report(num_rounds: int = 5) -> None:
    """Print a table of medians and worst cases."""
    from tests.browser.chromium import chromium, dashboard

    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "mlruns").open()
        try:
            with dashboard(store.root) as address, chromium() as browser:
                warm_s = warm_up(browser, address)
                rounds = [time_page(browser, address) for _ in range(num_rounds)]
        finally:
            list(shutdown(store))
    print(f"All networks measured {warm_s:.1f} s after the first visit.\n")
    print("| what | median s | worst s | target s |")
    print("|---|---|---|---|")
    for name, target_s in (("first view", 1.5), ("a ledger opened", 1.0), ("four side by side", 1.0)):
        seconds = [one[name] for one in rounds]
        print(f"| {name} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {target_s} |")


def warm_up(browser: Browser, address: str) -> float:
    """Return the seconds until the gallery has counted every network."""
    page = browser.new_page()
    start_s = time.perf_counter()
    page.goto(f"{address}/architectures")
    page.wait_for_function(COUNTED, timeout=WARM_TIMEOUT_MS)
    page.close()
    return time.perf_counter() - start_s


def time_page(browser: Browser, address: str) -> dict[str, float]:
    """Return the seconds of each step of a new visitor, whose browser has nothing in its cache."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    times = {"first view": time_step(page, lambda: page.goto(f"{address}/architectures"), COUNTED)}
    button = page.get_by_role("button", name="ResNet-50", exact=True)
    times["a ledger opened"] = time_step(page, button.click, OPENED)
    page.get_by_role("button", name="All networks").click()
    page.wait_for_function(COUNTED)
    section = page.get_by_role("radio", name="Side by side")
    times["four side by side"] = time_step(page, section.click, SET_SIDE_BY_SIDE)
    context.close()
    return times


def time_step(page: Page, step: Callable[[], object], is_done: str) -> float:
    """Return the seconds from a step until a condition holds in the page."""
    start_s = time.perf_counter()
    step()
    page.wait_for_function(is_done, polling="raf")
    return time.perf_counter() - start_s
