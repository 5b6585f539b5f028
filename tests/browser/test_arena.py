"""What a stranger does: launch two networks, watch them, compare them, come back, stop one, open MLflow."""

import re
import time
from collections.abc import Callable

import psutil
import pytest
from playwright.sync_api import Page, expect

from tracking import runs
from tracking.store import Store

pytestmark = pytest.mark.browser

DONE_TIMEOUT_S = 400


def wait_for(condition: Callable[[], object], seconds: float = DONE_TIMEOUT_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.25)


def open_page(page: Page, address: str, title: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()


def fill(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Tab")


def launch(page: Page, address: str, keep: set[str], epochs: int, image_size: int) -> None:
    """Fill in the form by hand: of the four networks that are ticked, keep some."""
    open_page(page, f"{address}/launch", "Launch")
    for name in {"AlexNet", "VGG-16", "GoogLeNet", "ResNet-18"} - keep:
        page.get_by_test_id("stButtonGroup").get_by_role("button", name=re.compile(rf"^{name}\b")).click()
    fill(page, "Epochs", str(epochs))
    fill(page, "Image size, px", str(image_size))
    fill(page, "Classes", "6")
    count = "1 job" if len(keep) == 1 else f"{len(keep)} jobs"
    page.get_by_role("button", name=f"Launch {count}").click()
    expect(page.get_by_text(f"{count} in the queue")).to_be_visible()


def test_two_networks_from_launch_to_comparison(page: Page, address: str, store: Store) -> None:
    launch(page, address, {"GoogLeNet", "ResNet-18"}, epochs=2, image_size=48)
    submitted = {run.architecture: run for run in runs.list_runs(store)}
    assert set(submitted) == {"googlenet", "resnet18"}

    open_page(page, f"{address}/runs", "Runs")
    for run in submitted.values():
        expect(page.get_by_role("link", name=run.name)).to_be_visible()
    expect(page.get_by_text("Running").first).to_be_visible()
    # No reload: the list follows what happens by itself.
    expect(page.get_by_text(re.compile("Finished"))).to_have_count(2, timeout=1000 * DONE_TIMEOUT_S)
    assert {run.status for run in runs.list_runs(store)} == {"FINISHED"}

    open_page(page, f"{address}/compare", "Compare")
    for _ in range(2):
        legend = page.locator(".stPlotlyChart").first.locator(".legendtext")
        expect(legend).to_have_text(["googlenet", "resnet18"])
        # One line on val and one on train for each of the two.
        expect(page.locator(".stPlotlyChart").first.locator(".scatterlayer .trace")).to_have_count(4)
        page.reload()

    one = submitted["resnet18"]
    open_page(page, f"{address}/runs", "Runs")
    page.get_by_role("link", name=one.name).click()
    expect(page).to_have_url(re.compile(rf"run={one.run_id}"))
    shown = runs.get_run(store, one.run_id).metrics["val/error_top1"]
    for _ in range(2):
        expect(page.get_by_role("heading", name=one.name)).to_be_visible()
        expect(page.get_by_text(f"{shown:.1f} %").first).to_be_visible()
        expect(page.get_by_text("top-1 error", exact=False).first).to_be_visible()
        page.reload()


def test_a_run_is_stopped_from_its_page(page: Page, address: str, store: Store) -> None:
    launch(page, address, {"ResNet-18"}, epochs=900, image_size=32)
    (run,) = runs.list_runs(store)
    wait_for(lambda: "train/loss" in runs.get_run(store, run.run_id).metrics)
    process = psutil.Process(int(runs.get_run(store, run.run_id).tags["job.pid"]))
    open_page(page, f"{address}/runs?run={run.run_id}", run.name)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text(re.compile(r"Stopped (just now|\d+ s ago)"))).to_be_visible()
    assert runs.get_run(store, run.run_id).status == "KILLED"
    wait_for(lambda: not process.is_running(), 30)
    assert (store.checkpoint_folder(run.run_id) / "last.ckpt").is_file()


def test_a_run_opens_in_mlflow(page: Page, address: str, store: Store) -> None:
    launch(page, address, {"ResNet-18"}, epochs=1, image_size=32)
    (run,) = runs.list_runs(store)
    wait_for(lambda: runs.get_run(store, run.run_id).is_terminal)
    open_page(page, f"{address}/runs?run={run.run_id}", run.name)
    page.get_by_role("button", name="Start the MLflow UI").click()
    link = page.get_by_role("link", name="Open in MLflow")
    expect(link).to_be_visible(timeout=120_000)
    target = link.get_attribute("href") or ""
    assert target.startswith("http://127.0.0.1:") and run.run_id in target
    foreign = page.context.browser.new_page()  # its console is not ours
    foreign.goto(target)
    expect(foreign.get_by_text(run.name).first).to_be_visible(timeout=60_000)
    foreign.close()
