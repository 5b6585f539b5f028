"""What a training process takes its time for, printed into its log; a callback for the configuration."""

import json
import time
from collections.abc import Callable
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

MARK = "clock "


class Clock(Callback):
    """Prints when a training has come how far, and at its end what writing has taken.

    Seconds of the clock count since 1970, those of the processor since the process began.
    """

    def __init__(self) -> None:
        self.writing_s = 0.0
        self.began_s = 0.0
        self.is_first = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note that imports, command line, record and images are done."""
        note("setup")
        trainer.save_checkpoint = self.timed(trainer.save_checkpoint)  # type: ignore[method-assign]
        if trainer.logger is not None:
            trainer.logger.log_metrics = self.timed(trainer.logger.log_metrics)  # type: ignore[method-assign]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """So are the device, the optimiser and the record's params."""
        note("ready")
        self.began_s = time.perf_counter()

    def on_train_batch_start(self, *rest: Any) -> None:
        """Note the arrival of the first images."""
        if self.is_first:
            note("batch")

    def on_train_batch_end(self, *rest: Any) -> None:
        """Note the end of the first step."""
        if self.is_first:
            note("step")
        self.is_first = False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sum up, without the checkpoint that follows."""
        note("end", writing_s=self.writing_s, training_s=time.perf_counter() - self.began_s)

    def timed(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, whose time is added up."""

        def do(*args: Any, **kwargs: Any) -> Any:
            began_s = time.perf_counter()
            try:
                return act(*args, **kwargs)
            finally:
                self.writing_s += time.perf_counter() - began_s

        return do


def note(event: str, **found: float) -> None:
    """Print one line."""
    line = {"event": event, "at": time.time(), "cpu_s": time.process_time(), **found}
    print(MARK + json.dumps(line), flush=True)
