"""The process that uploads the checkpoints of finished runs to the tracking server."""

import sys
import time
from collections.abc import Collection
from subprocess import Popen, TimeoutExpired

from jobs.host.processes import start_detached
from tracking.layout import REPOSITORY
from tracking.store import Store
from tracking.uploads import list_due

# The pause before the next start; doubled after each failure, up to the maximum.
PAUSE_S, MAX_PAUSE_S = 10.0, 600.0


class Deliveries:
    """Starts `python -m jobs deliver` when an upload is due, so that the supervisor need not wait for it.

    Args:
        store: The store with the runs.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._child: Popen[bytes] | None = None
        self._next_s = 0.0
        self._pause_s = PAUSE_S

    def update(self, active: Collection[str]) -> None:
        """Start the process if an upload is due, unless it is running or ended recently.

        Args:
            active: The ids of all active runs, whose uploads are not due yet.
        """
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
        """Stop the process; the next supervisor starts it again."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(timeout=5)
        except TimeoutExpired:
            self._child.kill()
