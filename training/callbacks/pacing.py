"""An estimate of when a run will end, from the speed of training and validation."""

import math
import time
from dataclasses import dataclass
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from tracking import runs
from training.callbacks.checkpoints import Checkpoints
from training.session import Session

NOTE_INTERVAL_S = 5.0


@dataclass
class Pace:
    """The speed of training between validations, and the length of each pause. All times use one clock.

    Only the steps after the second last pause count: the first epoch reads its images from the disk, and is
    slower than the others.

    Attributes:
        every: Number of optimiser steps between validations, 0 if there are none.
        pause_s: Seconds of the last pause: the validation, its checkpoint and the first batch afterwards.
        closing_s: Seconds for the last checkpoint.
    """

    every: int
    pause_s: float = 0.0
    closing_s: float = 0.0
    _since: tuple[int, float] | None = None
    _before: tuple[int, float] = (0, 0.0)
    _paused_at: float | None = None

    @property
    def is_paused(self) -> bool:
        """Whether a validation is running."""
        return self._paused_at is not None

    def go_on(self, step: int, now: float) -> None:
        """Note that training starts or continues after `step` optimiser steps."""
        if self._paused_at is not None:
            self.pause_s, self._paused_at = now - self._paused_at, None
        self._since = step, now

    def pause(self, step: int, now: float) -> None:
        """Note that a validation starts."""
        if self._since and step > self._since[0]:
            self._before = step - self._since[0], now - self._since[1]
        self._since, self._paused_at = None, now

    def left_s(self, step: int, now: float, total: int) -> float | None:
        """Return the seconds until `total` optimiser steps are done, None before a step was measured."""
        steps, seconds = self._before
        if self._since:
            steps, seconds = steps + step - self._since[0], seconds + now - self._since[1]
        if not steps:
            return None
        pauses = total // self.every - step // self.every if self.every else 0
        return (total - step) * seconds / steps + pauses * self.pause_s + self.closing_s


class Pacing(Callback):
    """A callback that records when the run will end, every few seconds and after each validation.

    Args:
        session: The record of the run.
        checkpoints: The callback that saves a last checkpoint at the end.
    """

    def __init__(self, session: Session, checkpoints: Checkpoints) -> None:
        self._session, self._checkpoints = session, checkpoints
        self._pace = Pace(0)
        self._first_step = 0
        self._is_warm = False
        self._noted_s = -math.inf

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start with the length of a validation that an earlier process of the run has recorded."""
        self._first_step = trainer.global_step
        self._pace.every = count_steps_between_validations(trainer)
        self._pace.pause_s = float(self._session.earlier_tags.get(runs.PAUSE, 0))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Measure the pause when it is over."""
        if self._pace.is_paused:
            self._pace.go_on(trainer.global_step, time.time())
            self._note(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
        """Measure from the end of the first step, which is slower than the others."""
        if trainer.global_step == self._first_step:
            return
        if not self._is_warm:
            self._is_warm = True
            self._pace.go_on(trainer.global_step, time.time())
        elif time.time() - self._noted_s >= NOTE_INTERVAL_S:
            self._note(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the pause."""
        if not trainer.sanity_checking:
            self._pace.pause(trainer.global_step, time.time())

    def _note(self, trainer: Trainer) -> None:
        now = time.time()
        self._pace.closing_s = self._checkpoints.cost_s
        left_s = self._pace.left_s(trainer.global_step, now, int(trainer.estimated_stepping_batches))
        if left_s is not None:
            self._noted_s = now
            ends_at, pause_s = int((now + left_s) * 1000), round(self._pace.pause_s, 3)
            self._session.annotate({runs.ENDS_AT: str(ends_at), runs.PAUSE: str(pause_s)})


def count_steps_between_validations(trainer: Trainer) -> int:
    """Return the number of optimiser steps between validations, 0 if there are none."""
    if not trainer.enable_validation:
        return 0
    batches, checked = int(trainer.num_training_batches), trainer.val_check_batch
    epochs, parts = trainer.check_val_every_n_epoch, trainer.accumulate_grad_batches
    if checked and (checked < batches or epochs is None):
        return math.ceil(checked / parts)
    return math.ceil(batches / parts) * (epochs or 1)
