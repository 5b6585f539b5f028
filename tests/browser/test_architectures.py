"""Studying networks: search, open one from far down, look at its drawing in light and dark, go back."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser


def card(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-card-{key}")


def test_search_open_and_come_back(page: Page, address: str) -> None:
    page.goto(f"{address}/architectures")
    expect(card(page, "alexnet")).to_be_visible()
    search = page.get_by_label("Search", exact=True)
    search.fill("residual learning")
    search.press("Enter")
    expect(card(page, "alexnet")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"search=residual"))
    # The whole card opens its network, not its name alone.
    card(page, "resnet18").click(position={"x": 30, "y": 100})
    expect(page.get_by_role("heading", name="ResNet-18", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"network=resnet18"))
    expect(page.get_by_role("img", name=re.compile("^ResNet-18, from the image"))).to_be_visible()
    expect(page.locator(".stage-bars tbody tr")).to_have_count(8)
    page.reload()
    expect(page.get_by_role("heading", name="ResNet-18", exact=True)).to_be_visible()
    page.get_by_role("button", name="All networks").click()
    expect(card(page, "resnet50")).to_be_visible()
    expect(page.get_by_label("Search", exact=True)).to_have_value("residual learning")
    page.go_back()
    expect(page.get_by_role("heading", name="ResNet-18", exact=True)).to_be_visible()


def test_a_card_far_down_opens_at_the_top(page: Page, address: str) -> None:
    page.goto(f"{address}/architectures")
    last = page.locator("[class*='st-key-card-'] button").last
    last.scroll_into_view_if_needed()
    last.click()
    expect(page.get_by_role("button", name="All networks")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drawing_can_be_read_on_a_narrow_page(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 800, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/architectures?network=googlenet")
    expect(page.locator(".drawing svg").first).to_be_visible(timeout=60_000)
    width = page.evaluate("document.querySelector('[data-testid=\"stMainBlockContainer\"]').clientWidth")
    for part in page.locator(".drawing svg").all():
        box = part.bounding_box()
        assert box is not None and box["width"] <= width, "each part fits, so that no text shrinks"
    colour = page.evaluate("getComputedStyle(document.querySelector('.drawing .conv')).fill.match(/\\d+/g)")
    assert (sum(map(int, colour[:3])) > 384) == (scheme == "light")
    context.close()
