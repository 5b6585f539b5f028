"""Ending of all processes of a run when one of them has died."""

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

from problems import Problem
from training.problems import FAILURE, FailedTraining, Failure
from training.session import FAILED, STOPPED, Session

# Time for the first process to find an error that all of them have, before the other one's error is recorded.
PATIENCE_S = 10.0
# Signals that request a stop, usually of all processes, for which the first one may need this long.
REQUESTS = (-signal.SIGINT, -signal.SIGTERM)
REQUEST_PATIENCE_S = 20.0


class Child(Protocol):
    """The part of `subprocess.Popen` that is needed."""

    def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""


class Ranks:
    """Watcher of the processes that Lightning starts, which replaces Lightning's own.

    Lightning's watcher kills all other processes, even while the first one records how the run ended, and
    does not report which one died. Processes that a cluster starts are watched by the cluster.

    Args:
        session: The record of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._threads: list[threading.Thread] = []
        self._is_missed = threading.Event()
        self._ending = threading.Lock()

    def take_over(self) -> None:
        """Replace Lightning's watcher of the processes that it starts."""
        subprocess_script._launch_process_observer = self._watch  # type: ignore[assignment]

    def wait_for_lost(self) -> None:
        """Wait for the watcher to end this process because of the missing one, if that was started here."""
        self._is_missed.set()
        if self._threads:
            threading.Event().wait(PATIENCE_S)

    def leave(self) -> None:
        """Wait for the processes started here to exit, and kill those that do not."""
        self._is_missed.set()
        deadline_s = time.monotonic() + PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self.end()

    def end(self) -> None:
        """Kill all processes started here."""
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
            # Most errors occur in all processes, and each records its own.
            self._is_missed.wait(PATIENCE_S)
        if self._session.has_ended:
            return
        with self._ending:
            self._end(rank, code)

    def _end(self, rank: int, code: int) -> None:
        sentence = str(
            Problem(FailedTraining.RANK_DIED, rank=rank, signal=signal.strsignal(-code))
            if code < 0
            else Problem(FailedTraining.RANK_EXITED, rank=rank, exit_code=code)
        )
        tags = {FAILURE: Failure.PROCESS_DIED.value}
        is_lost = code == -signal.SIGKILL and self._session.is_supervised
        if is_lost:
            self._session.note_loss(sentence, tags)
        else:
            if found := self._session.rank_error():
                sentence, tags = found, {}  # that process has set the tags
            self._session.fail(sentence, tags)
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
        self.end()
        if is_lost:
            # The supervisor resumes the run as if this process had been the one that was killed.
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(FAILED)
