"""A real Chromium and a real dashboard, for tests, for pictures and for measurements."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tracking.layout import REPOSITORY

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox, since containers run tests as root; and nothing of its own that calls home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_TIMEOUT_S = 120.0


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts the browser that this machine has."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise FileNotFoundError("There is no Chromium or Chrome; on Debian: apt install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def dashboard(root: Path, command: Sequence[str] = (sys.executable, "-m", "dashboard")) -> Iterator[str]:
    """Starts a dashboard on a store and gives its address; ends it with Ctrl-C, its jobs go on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {"ARENA_MLRUNS": str(root), "PORT": port}
    log = root.parent / f"dashboard-{port}.log"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=printed, stderr=printed, start_new_session=True
        )
    try:
        wait_for(f"{address}/_stcore/health", process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=30)


def wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Returns as soon as an address answers; raises TimeoutError when the process ends or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise TimeoutError(f"{address} does not answer.")
