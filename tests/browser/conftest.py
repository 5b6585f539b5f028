"""A browser for the session, a dashboard on a store of its own for every test that wants one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.supervision.shutdown import shutdown
from tests.browser.chromium import chromium, dashboard
from tracking.store import Store


def pytest_configure(config: pytest.Config) -> None:
    expect.set_options(timeout=60_000)  # two cores train while the browser waits


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a fresh visitor; an error of its scripts fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def store(prepared_root: Path, tmp_path: Path) -> Iterator[Store]:
    root = tmp_path / "mlruns"
    shutil.copytree(prepared_root, root)
    store = Store(root).open()
    yield store
    list(shutdown(store))


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    with dashboard(store.root) as address:
        yield address
