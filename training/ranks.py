"""Ends a run of several processes as one, when one of them has died."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import psutil
from pytorch_lightning.strategies.launchers import subprocess_script

from training.session import FAILED, STOPPED, Session

# For the first process to find out what is wrong with all of them, before it is the other one's error.
PATIENCE_S = 10.0
# These ask to stop, and mostly all of them; the first needs as long as it may wait for another to leave.
REQUESTS = (-signal.SIGINT, -signal.SIGTERM)
REQUEST_PATIENCE_S = 20.0


class Child(Protocol):
    """What is needed of a `subprocess.Popen`."""

    def wait(self) -> int:
        """Wait until it has ended, and return as what."""


class Ranks:
    """Watches the processes that Lightning starts beside this one, in the place of Lightning's observer.

    That one kills whatever is left, also while the first process writes down how the run has ended, and
    does not say which was lost. Processes that somebody else starts, such as a cluster, are his to watch.

    Args:
        session: The record of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._threads: list[threading.Thread] = []
        self._is_missed = threading.Event()
        self._ending = threading.Lock()

    def take_over(self) -> None:
        """Lets Lightning hand the processes over as soon as it has started them."""
        subprocess_script._launch_process_observer = self._watch  # type: ignore[assignment]

    def end_with_the_lost(self) -> None:
        """Ends this process in the way of the one that it misses; comes back if that was not started here."""
        self._is_missed.set()
        if self._threads:
            threading.Event().wait(PATIENCE_S)

    def leave(self) -> None:
        """Waits for those started here to leave as well, and ends those that do not."""
        self._is_missed.set()
        deadline_s = time.monotonic() + PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self.end()

    def end(self) -> None:
        """Ends all that was started here."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()

    def _watch(self, children: Sequence[Child]) -> None:
        first = int(os.environ.get("NODE_RANK", "0")) * (len(children) + 1)
        for rank, child in enumerate(children, first + 1):
            thread = threading.Thread(
                target=self._follow, args=(rank, child), name=f"rank-{rank}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def _follow(self, rank: int, child: Child) -> None:
        code = child.wait()
        if code in (0, STOPPED) or self._session.has_ended:
            return
        if code in REQUESTS:
            self._is_missed.wait(REQUEST_PATIENCE_S)
        elif code > 0:
            # Most of what goes wrong does so in all of them, and each says so itself.
            self._is_missed.wait(PATIENCE_S)
        if self._session.has_ended:
            return
        with self._ending:
            self._end(rank, code)

    def _end(self, rank: int, code: int) -> None:
        how = f"died ({signal.strsignal(-code)})" if code < 0 else f"ended with exit code {code}"
        sentence = f"Worker died: the process of rank {rank} {how}; see the log."
        is_lost = code == -signal.SIGKILL and self._session.is_supervised
        if is_lost:
            self._session.note_loss(sentence)
        else:
            sentence = self._session.rank_error() or sentence
            self._session.fail(sentence)
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
        self.end()
        if is_lost:
            os.kill(os.getpid(), signal.SIGKILL)  # the run is as lost as if it had been this process
        os._exit(FAILED)
