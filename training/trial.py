"""A trial: a few steps of a run are measured, ``python -m training.trial --config run.yaml``.

It prints one line of JSON at its end. Nothing is recorded or saved.
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
# In the first iterations, kernels are chosen and memory is allocated.
WARM_UP = 5


class Stopwatch(Callback):
    """A callback that measures the batches after the warm-up, and ends the training after the last.

    Attributes:
        images: Number of images since the warm-up.
        seconds: Their duration.
        iterations: Number of all batches.
    """

    def __init__(self, iterations: int) -> None:
        self.images, self.seconds, self.iterations = 0, 0.0, 0
        self._wanted = iterations
        self._warm_up = min(WARM_UP, iterations - 1)
        self._began_s = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count one batch; wait for the device when the time is measured."""
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
        """Measure the time if there are fewer batches than iterations."""
        if self._began_s and not self.seconds and trainer.current_epoch + 1 == trainer.max_epochs:
            wait_for(pl_module.device)
            self.seconds = time.perf_counter() - self._began_s


class TrialCLI(ArenaCLI):
    """The command line of a run, without its record.

    Args:
        stopwatch: The callback that measures.
        args: The arguments.
    """

    def __init__(self, stopwatch: Stopwatch, args: list[str]) -> None:
        self.stopwatch = stopwatch
        super().__init__(Session(Store.default()), args)

    def before_instantiate_classes(self) -> None:
        """Omit the record and the starting weights, which do not change the speed."""
        self.config[self.subcommand].model.weights = None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Omit validation and everything that writes."""
        silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return super().instantiate_trainer(limit_val_batches=0, **silent, **kwargs)

    def _callbacks(self) -> list[Callback]:
        # Of the callbacks of a run, keep those that need time and memory in each step.
        return [*(one for one in super()._callbacks() if isinstance(one, MovingAverage)), self.stopwatch]

    def after_fit(self) -> None:
        """Do nothing: there is no checkpoint."""


def main(arguments: list[str]) -> int:
    """Train for a few batches and print what was measured, or why that was impossible."""
    # If the main memory is full, the kernel kills this process rather than another.
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
    """Wait until a device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_bytes() -> int:
    """Return the peak memory of this process in bytes: of the GPU if it uses one, or main memory."""
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        return torch.cuda.max_memory_reserved()
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes if sys.platform == "darwin" else kibibytes * 1024


def _answer(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
