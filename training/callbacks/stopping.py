"""Stopping a run without losing what it has learned."""

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
from training.problems import Stopped, StopRequested
from training.session import STOPPED, Session

POLL_INTERVAL_S = 1.0
# Approximate interval at which the processes of a run synchronise, which waits for their devices.
AGREE_INTERVAL_S = 1.0
# Time for a process that has not trained a batch to exit, before it is killed.
PATIENCE_S = 10.0


def leave_on_sigterm(session: Session, end: Callable[[], None]) -> None:
    """Make SIGTERM end this process properly before it trains.

    A process that waits for another one, to connect or in the first batch, may never return to where Python
    handles signals. It is then killed, and nothing is lost.

    Args:
        session: The record of the run.
        end: A function that kills the processes that were started by this one.
    """
    signal.signal(signal.SIGTERM, _leave)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # The number of each signal is written there at once. The pipe is not shared with forks.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    threading.Thread(target=_insist, args=(session, end, reader), name="patience", daemon=True).start()


def watch_requests(session: Session) -> None:
    """Send SIGTERM to this process when the run's ``job.request`` tag asks it to stop."""
    threading.Thread(target=_watch, args=(session,), name="stop-request", daemon=True).start()


def _leave(signum: int, frame: FrameType | None) -> None:
    raise StopRequested(Stopped.BEFORE_TRAINING)


def _insist(session: Session, end: Callable[[], None], reader: int) -> None:
    while os.read(reader, 1)[0] not in (signal.SIGTERM, signal.SIGINT):
        pass
    time.sleep(PATIENCE_S)
    if session.has_ended or session.has_trained:
        return
    reason = Stopped.WHILE_WAITING.value
    session.stop(reason)
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    end()
    os._exit(STOPPED)


def _watch(session: Session) -> None:
    while not session.has_ended:
        time.sleep(POLL_INTERVAL_S)
        # If the database is locked now, the next attempt may work.
        with suppress(StoreUnavailable):
            if session.stop_requested():
                os.kill(os.getpid(), signal.SIGTERM)
                return


def do_nothing() -> None:
    """Replace Lightning's synchronisation before each batch; `GracefulStop` has its own."""


class GracefulStop(Callback):
    """A callback that ends training after the step in which a stop was requested, with a checkpoint of it.

    A stop is requested by SIGTERM or the first Ctrl-C; a second Ctrl-C interrupts at once. Before it has
    trained a batch, the process exits at once, since nothing is lost. Under DDP, the processes synchronise
    about once per second, between batches of training or validation.
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
        """Install the signal handlers."""
        self._may_leave = trainer.world_size == 1
        self._take_signals()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace Lightning's signal handlers, which would exit without saving.

        Lightning would also synchronise the processes before every batch.
        """
        self._take_signals()
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = do_nothing  # type: ignore[method-assign]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Exit only with a checkpoint from now on."""
        self._may_leave = False

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        if self._may_leave:
            raise StopRequested(Stopped.BEFORE_FIRST_BATCH)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save a checkpoint and stop, if requested."""
        self._session.has_trained = True
        if can_save(trainer, batch_idx) and self._is_asked(trainer):
            self._checkpoints.save_last(trainer)
            raise StopRequested(Stopped.AT_STEP, step=trainer.global_step, file=LAST)

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop during a validation, if requested, unless gradients are being accumulated."""
        if trainer.sanity_checking or not can_save(trainer, trainer.fit_loop.batch_idx):
            return
        if batch_idx == 0:
            self._common_batches = count_common_batches(trainer)
        # A process with one batch more than another has no counterpart to synchronise with.
        if batch_idx < self._common_batches and self._is_asked(trainer):
            if self._checkpoints.saved_step != trainer.global_step:
                self._checkpoints.save_last(trainer)
            raise StopRequested(Stopped.IN_VALIDATION, step=trainer.global_step)

    def _is_asked(self, trainer: Trainer) -> bool:
        if trainer.world_size == 1:
            return self._asked.is_set()
        # All processes count the same batches, and agree on how many to count next.
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
