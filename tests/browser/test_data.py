"""Looking at images: add a folder, see its classes and images, what a network sees of one; run a command."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.chromium import dashboard
from tracking.store import Store

pytestmark = pytest.mark.browser

CLASSES = ("n01440764", "n02102040")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Tench and springer, two images each; one of the tenches is none."""
    root = tmp_path / "data" / "fish and dogs"
    for split in ("train", "val"):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                pixels = np.random.default_rng(number).integers(0, 255, (90, 120, 3), dtype=np.uint8)
                pixels[..., label] = 255
                Image.fromarray(pixels).save(root / split / name / f"{name}_{number}.JPEG")
    (root / "val" / CLASSES[0] / f"{CLASSES[0]}_1.JPEG").write_bytes(b"<html>404</html>")
    return root


@pytest.fixture
def address(store: Store, images: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ARENA_DATA_ROOTS", str(images.parent))
    with dashboard(store.root) as address:
        yield address


def add(page: Page, address: str, folder: Path) -> None:
    page.goto(f"{address}/data")
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    field = page.get_by_label("Folder", exact=True)
    field.fill(str(folder))
    field.press("Enter")
    page.get_by_role("button", name="Add").click()


def test_from_a_folder_to_what_the_network_sees(page: Page, address: str, images: Path) -> None:
    add(page, address, images)
    expect(page.get_by_role("heading", name="fish and dogs", exact=True)).to_be_visible()
    expect(page.get_by_text("4", exact=True).first).to_be_visible()

    page.get_by_role("radio", name="Images").or_(
        page.get_by_role("button", name="Images", exact=True)
    ).click()
    expect(page.get_by_alt_text(re.compile("^tench, "))).to_be_visible()
    page.get_by_role("combobox", name="Class").click()
    page.get_by_role("option", name=re.compile("^tench")).click()
    # The one that cannot be read is there by its name.
    expect(page.get_by_text("n01440764_1.JPEG (")).to_be_visible()

    page.get_by_role("button", name="n01440764_0.JPEG").click()
    expect(page.get_by_alt_text("Validation 2")).to_be_visible()
    first = page.get_by_alt_text("modern 1")
    before = first.get_attribute("src")
    seen = page.get_by_alt_text("Validation 2").get_attribute("src")
    for _ in range(2):
        expect(page.get_by_alt_text(re.compile(r"^heavy \d$"))).to_have_count(5)
        page.reload()
    page.get_by_role("button", name="Draw again").click()
    expect(page).to_have_url(re.compile("roll=1"))
    expect(first).not_to_have_attribute("src", str(before))
    expect(page.get_by_alt_text("Validation 2")).to_have_attribute("src", str(seen))

    page.get_by_role("button", name="All data").click()
    expect(page.get_by_text("2 classes · 4 + 4 images")).to_be_visible()


def test_a_folder_elsewhere_is_refused_in_one_sentence(page: Page, address: str) -> None:
    add(page, address, Path("/etc"))
    expect(page.get_by_text("/etc is not in a place that data may be read from")).to_be_visible()
    expect(page.get_by_label("Folder", exact=True)).to_have_value("/etc")


def test_a_command_is_started_and_its_end_is_kept(page: Page, address: str, images: Path) -> None:
    target = images.with_name("imagenet")
    query = f"kind=imagenet&way=archives&archives={images}&folder={target}"
    page.goto(f"{address}/data?{query}")
    page.get_by_role("button", name="Prepare").click()
    for _ in range(2):
        expect(page.get_by_text("There is no ILSVRC2012").first).to_be_visible()
        expect(page.get_by_text("Failed")).to_be_visible()
        page.goto(f"{address}/data")
