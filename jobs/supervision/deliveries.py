"""Checkpoints of finished runs are taken to the tracking server by a process of their own."""

import sys
import time
from collections.abc import Collection
from subprocess import Popen, TimeoutExpired

from jobs.host.processes import start_detached
from tracking.layout import REPOSITORY
from tracking.store import Store
from tracking.uploads import list_due

# Before the next start; doubled up to the longer one while it fails.
PAUSE_S, MAX_PAUSE_S = 10.0, 600.0


class Deliveries:
    """Starts `python -m jobs deliver` when something is due, so that the supervisor waits for no upload.

    Args:
        store: Where the runs are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._child: Popen[bytes] | None = None
        self._next_s = 0.0
        self._pause_s = PAUSE_S

    def look(self, active: Collection[str]) -> None:
        """Start it unless it works, or ended lately; a run that is still active is not due yet."""
        if self._child is not None:
            if self._child.returncode is None:
                return
            self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S) if self._child.returncode else PAUSE_S
            self._next_s = time.monotonic() + self._pause_s
            self._child = None
        if time.monotonic() >= self._next_s and not set(list_due(self.store)) <= set(active):
            command = [sys.executable, "-m", "jobs", "deliver"]
            log_file = self.store.logs / "deliver.log"
            self._child = start_detached(
                command, log_file, cwd=REPOSITORY, environment=self.store.environment
            )

    def close(self) -> None:
        """End it; the next supervisor's begins anew."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(timeout=5)
        except TimeoutExpired:
            self._child.kill()
