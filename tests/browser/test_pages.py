"""Every page in a real browser: light and dark, wide and narrow, full and empty."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dashboard.navigation import PageFile, discover_pages

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits(browser: Browser, address: str, scheme: str) -> None:
    for width in (1280, 390):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error, found=complaints: found.append(str(error)))
        for file in discover_pages():
            page.goto(f"{address}/{path_of(file)}")
            expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=60_000)
            expect(page.get_by_test_id("stException")).to_have_count(0)
            page.wait_for_load_state("networkidle")
            too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert too_wide <= 0, (file.title, width)
            background = page.evaluate(
                "getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/g).map(Number)"
            )
            assert (sum(background[:3]) > 384) == (scheme == "light")
        context.close()
        assert complaints == []


def path_of(file: PageFile) -> str:
    return "" if file == discover_pages()[0] else file.url_path


def test_what_is_typed_survives_a_reload(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}/launch")
    epochs = page.get_by_label("Epochs", exact=True)
    epochs.fill("7")
    epochs.press("Tab")
    expect(page).to_have_url(f"{address}/launch?epochs=7", timeout=30_000)
    page.reload()
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("7", timeout=30_000)
    page.close()


def test_a_reload_loses_nothing_while_a_page_works(browser: Browser, address: str, tmp_path: Path) -> None:
    pipe = tmp_path / "mean.npy"
    os.mkfifo(pipe)  # whoever reads it waits until somebody writes
    page = browser.new_page()
    page.goto(f"{address}/launch?epochs=7")
    page.get_by_text("Mean image, validation, damaged files").click()
    field = page.get_by_label("Mean image", exact=True)
    field.fill(str(pipe))
    field.press("Tab")
    expect(page).to_have_url(re.compile(r"epochs=7&mean_image=.*mean\.npy"), timeout=30_000)
    page.reload()
    # From here on there is no such file, and whoever has opened it finds it empty.
    held = os.open(pipe, os.O_RDWR)
    pipe.unlink()
    os.close(held)
    expect(page.get_by_label("Mean image", exact=True)).to_have_value(str(pipe))
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("7")
    page.close()
