"""Stopping a run so that nothing it learned is lost."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from tracking.problems import StoreUnavailable
from training.callbacks.checkpoints import Checkpoints, can_save
from training.callbacks.validation import count_common_batches
from training.checkpoint_files import LAST
from training.session import STOPPED, Session, StopRequested

POLL_INTERVAL_S = 1.0
# About so often the processes of a run ask each other; each time they wait for their devices.
AGREE_INTERVAL_S = 1.0
# What a process that has not trained a batch may take to leave, before it is ended where it stands.
PATIENCE_S = 10.0


def leave_on_sigterm(session: Session, end: Callable[[], None]) -> None:
    """Lets SIGTERM end this process in good order while it has not begun to train.

    One that waits for another process, to connect or for its share of the first batch, may never get to where
    Python heeds a signal: nothing is lost by ending it.

    Args:
        session: The record of the run.
        end: Ends the processes that were started beside this one.
    """
    signal.signal(signal.SIGTERM, _leave)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # The number of each signal that Python handles is written there as it comes; not of those of a fork.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    threading.Thread(target=_insist, args=(session, end, reader), name="patience", daemon=True).start()


def watch_requests(session: Session) -> None:
    """Turns the run's ``job.request`` tag into SIGTERM, whatever the process is busy with by then."""
    threading.Thread(target=_watch, args=(session,), name="stop-request", daemon=True).start()


def _leave(signum: int, frame: FrameType | None) -> None:
    raise StopRequested("stopped on request before training began")


def _insist(session: Session, end: Callable[[], None], reader: int) -> None:
    while os.read(reader, 1)[0] not in (signal.SIGTERM, signal.SIGINT):
        pass
    time.sleep(PATIENCE_S)
    if session.has_ended or session.has_trained:
        return
    reason = "Stopped on request while it waited for something, such as another of its processes, to begin."
    session.stop(reason)
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    end()
    os._exit(STOPPED)


def _watch(session: Session) -> None:
    while not session.has_ended:
        time.sleep(POLL_INTERVAL_S)
        # A locked database now does not mean one at the next look.
        with suppress(StoreUnavailable):
            if session.stop_requested():
                os.kill(os.getpid(), signal.SIGTERM)
                return


def do_nothing() -> None:
    """Takes the place of Lightning's question; `GracefulStop` has its own."""


class GracefulStop(Callback):
    """Ends training after the step in which a stop was asked for, with a checkpoint of that very step.

    It is asked by SIGTERM or by the first Ctrl-C; a second Ctrl-C interrupts at once. As long as this process
    has not trained a batch, nothing is lost and it leaves wherever it is. Under DDP the ranks agree after as
    many batches as take a second, of training or validation.
    """

    def __init__(self, session: Session, checkpoints: Checkpoints) -> None:
        self._session = session
        self._checkpoints = checkpoints
        self._asked = threading.Event()
        self._may_leave = False
        self._common_batches = 0
        self._batches_to_go = 0
        self._batches = 0
        self._agreed_s = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts to listen."""
        self._may_leave = trainer.world_size == 1
        self._take_signals()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the signals back from Lightning, which by now listens too and would leave without saving.

        It would also let the processes ask each other before every batch, and wait for the answer.
        """
        self._take_signals()
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = do_nothing  # type: ignore[method-assign]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """From here on there is something to lose."""
        self._may_leave = False

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        if self._may_leave:
            raise StopRequested("stopped on request before the first batch")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves and leaves if asked to."""
        self._session.has_trained = True
        if can_save(trainer, batch_idx) and self._is_asked(trainer):
            self._checkpoints.save_last(trainer)
            raise StopRequested(f"stopped on request at step {trainer.global_step}; saved as {LAST}")

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Does not wait for a whole validation, unless gradients are being accumulated around it."""
        if trainer.sanity_checking or not can_save(trainer, trainer.fit_loop.batch_idx):
            return
        if batch_idx == 0:
            self._common_batches = count_common_batches(trainer)
        # A process that has one batch more than another has nobody to ask.
        if batch_idx < self._common_batches and self._is_asked(trainer):
            if self._checkpoints.saved_step != trainer.global_step:
                self._checkpoints.save_last(trainer)
            raise StopRequested(f"stopped on request in validation after step {trainer.global_step}")

    def _is_asked(self, trainer: Trainer) -> bool:
        if trainer.world_size == 1:
            return self._asked.is_set()
        # All count the same batches, and agree on how many to count next.
        self._batches_to_go -= 1
        if self._batches_to_go > 0:
            return False
        now_s = time.monotonic()
        batch_s = (now_s - self._agreed_s) / self._batches if self._batches else math.inf
        mine = torch.tensor([float(self._asked.is_set()), batch_s], device=trainer.strategy.root_device)
        asked, batch_s = trainer.strategy.reduce(mine, reduce_op="max").tolist()
        self._batches = self._batches_to_go = max(1, int(AGREE_INTERVAL_S / batch_s))
        self._agreed_s = now_s
        return bool(asked)
