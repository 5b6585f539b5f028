"""MLflow's tracking server as a process of its own, which can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from jobs.host.mlflow_ui import ENVIRONMENT


class Server:
    """On the loopback address.

    Args:
        folder: Gets its log and, by default, its database and the artifacts.
        backend: Where it keeps the records.
        artifacts: Where it keeps the artifacts.
        environment: Added to ours.
    """

    def __init__(
        self,
        folder: Path,
        backend: str = "",
        artifacts: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.environment = {**os.environ, **ENVIRONMENT, **(environment or {})}
        self.command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", backend or f"sqlite:///{folder / 'server.db'}", "--workers", "1"),
            *("--artifacts-destination", artifacts or str(folder / "artifacts")),
        ]
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, start_new_session=True, env=self.environment
            )
        until = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """As a crash would, with its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
