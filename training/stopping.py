"""Stopping a run so that nothing it learned is lost."""

import signal
import threading
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from tracking.store import StoreUnavailable
from training.checkpoint_files import LAST
from training.checkpoints import Checkpoints, agrees_at, can_save
from training.session import Session, StopRequested

POLL_INTERVAL_S = 1.0


class GracefulStop(Callback):
    """Ends training after the batch in which a stop was asked for, with a checkpoint of that very step.

    It is asked by the run's ``job.request`` tag, by SIGTERM, or by the first Ctrl-C; a second Ctrl-C
    interrupts at once. Under DDP the ranks agree every ``log_every_n_steps``.
    """

    def __init__(self, session: Session, checkpoints: Checkpoints) -> None:
        self._session = session
        self._checkpoints = checkpoints
        self._asked = threading.Event()
        self._over = threading.Event()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts to listen."""
        self._take_signals()
        if trainer.is_global_zero:
            threading.Thread(target=self._watch_request, name="stop-request", daemon=True).start()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the signals back from Lightning, which by now listens too and would leave without saving."""
        self._take_signals()

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()

    def _watch_request(self) -> None:
        while not self._over.wait(POLL_INTERVAL_S):
            try:
                requested = self._session.stop_requested()
            except StoreUnavailable:
                continue  # a locked database now does not mean one at the next look
            if requested:
                self._asked.set()
                return

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves and leaves if asked to."""
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
        if self._is_asked(trainer):
            if self._checkpoints.saved_step != trainer.global_step:
                self._checkpoints.save_last(trainer)
            raise StopRequested(f"stopped on request in validation after step {trainer.global_step}")

    def _is_asked(self, trainer: Trainer) -> bool:
        if trainer.world_size == 1:
            return self._asked.is_set()
        if not agrees_at(trainer):
            return False
        return trainer.strategy.reduce_boolean_decision(self._asked.is_set(), all=False)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stops to listen."""
        self._over.set()
