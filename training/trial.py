"""A few real steps of a run, measured and forgotten: ``python -m training.trial --config run.yaml``.

Prints one line of JSON at its end. Nothing is recorded or saved.
"""

import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from tracking.store import Store
from training.callbacks.averaging import MovingAverage
from training.cli import ArenaCLI
from training.failures import is_out_of_memory
from training.hardware import keep_freed_memory
from training.session import Session

ITERATIONS = 20
# Kernels are chosen and memory is asked for in the first; what follows is the pace.
WARM_UP = 5


class Stopwatch(Callback):
    """Measures the batches after the warm-up, and ends the training after the last.

    Attributes:
        images: Trained on since the warm-up.
        seconds: They took.
        iterations: Batches in all.
    """

    def __init__(self, iterations: int) -> None:
        self.images, self.seconds, self.iterations = 0, 0.0, 0
        self._wanted = iterations
        self._warm_up = min(WARM_UP, iterations - 1)
        self._began_s = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts one batch; the device is waited for where time is taken."""
        self.iterations += 1
        if self.iterations > self._warm_up:
            self.images += len(batch[1])
        if self.iterations in (self._warm_up, self._wanted):
            wait_for(pl_module.device)
            now_s = time.perf_counter()
            self._began_s, self.seconds = (
                (now_s, 0.0) if self.iterations == self._warm_up else (self._began_s, now_s - self._began_s)
            )
        if self.iterations >= self._wanted:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the time where the images end before the iterations do."""
        if self._began_s and not self.seconds and trainer.current_epoch + 1 == trainer.max_epochs:
            wait_for(pl_module.device)
            self.seconds = time.perf_counter() - self._began_s


class TrialCLI(ArenaCLI):
    """The same network, data and trainer as of a run, without its record.

    Args:
        stopwatch: Measures.
        args: Command line.
    """

    def __init__(self, stopwatch: Stopwatch, args: list[str]) -> None:
        self.stopwatch = stopwatch
        super().__init__(Session(Store.default()), args)

    def before_instantiate_classes(self) -> None:
        """Leaves out the record, and the weights to start from: they take no more time than others."""
        self.config[self.subcommand].model.weights = None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Leaves out validation and everything that writes."""
        silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return super().instantiate_trainer(limit_val_batches=0, **silent, **kwargs)

    def _callbacks(self) -> list[Callback]:
        # Of what a run has beside its record, what takes time and memory in each step.
        return [*(one for one in super()._callbacks() if isinstance(one, MovingAverage)), self.stopwatch]

    def after_fit(self) -> None:
        """Keeps nothing."""


def main(arguments: list[str]) -> int:
    """Train for a few batches and print what was measured, or why that was impossible."""
    # Where memory does not suffice the system ends this process, and no other.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    keep_freed_memory()
    stopwatch = Stopwatch(ITERATIONS)
    try:
        cli = TrialCLI(stopwatch, ["fit", *arguments])
    except Exception as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        _answer({"error": said, "out_of_memory": is_out_of_memory(error)})
        return 1
    _answer(
        {
            "images_per_s": stopwatch.images / stopwatch.seconds if stopwatch.seconds else None,
            "peak_bytes": peak_bytes(),
            "iterations": stopwatch.iterations,
            "train_images": cli.datamodule.train_images,
        }
    )
    return 0


def wait_for(device: torch.device) -> None:
    """Lets a device end what it was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_bytes() -> int:
    """The most memory that this process has had: of the GPU if it has one, otherwise of the machine."""
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        return torch.cuda.max_memory_reserved()
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes if sys.platform == "darwin" else kibibytes * 1024


def _answer(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
