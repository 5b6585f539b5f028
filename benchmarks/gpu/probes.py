"""Callbacks that look into a training and keep what they find; see `benchmarks.gpu.bench`."""

import os
import signal
import time
import traceback
import warnings
from collections import Counter
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from benchmarks.gpu.bench import keep
from tracking.layout import REPOSITORY
from training.trial import wait_for

# After which steps are alike: kernels are chosen, memory is asked for, readers are ahead.
WARM_UP = 20
SYNC_WARNING = "called a synchronizing"


class Pace(Callback):
    """Measures images a second of the steps after the warm-up, without what lies between two epochs."""

    def __init__(self) -> None:
        self.images, self.seconds, self.steps = 0, 0.0, 0
        self.began_s: float | None = None
        self.waited_s = self.waited_before_s = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a step."""
        self.steps += 1
        if self.began_s is not None:
            self.images += len(batch[1])
        if self.began_s is None and self.steps >= WARM_UP and batch_idx >= 2:
            wait_for(pl_module.device)
            self.began_s = time.perf_counter()
            self.waited_before_s = trainer.datamodule.waited_s  # type: ignore[attr-defined]
        if trainer.is_last_batch or trainer.global_step == trainer.max_steps:
            self.pause(trainer, pl_module.device)

    def pause(self, trainer: Trainer, device: torch.device) -> None:
        """Leaves out what happens until the next epoch has begun."""
        if self.began_s is not None:
            wait_for(device)
            self.seconds += time.perf_counter() - self.began_s
            self.waited_s += trainer.datamodule.waited_s - self.waited_before_s  # type: ignore[attr-defined]
            self.began_s = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep it."""
        self.pause(trainer, pl_module.device)
        if self.seconds:
            keep({"images_per_s": self.images / self.seconds, "waited": self.waited_s / self.seconds})


class Losses(Callback):
    """Keeps every loss, and whether random numbers of the device are in the last checkpoint."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note a loss."""
        self.losses.append(float(outputs["loss"]))

    def on_exception(self, *rest: Any) -> None:
        """Keep them also when the run is stopped."""
        keep({"losses": self.losses})

    def on_fit_end(self, *rest: Any) -> None:
        """Keep them."""
        keep({"losses": self.losses})


class StopHalfway(Callback):
    """Asks the run to stop after half of its steps, as a user does."""

    def on_train_batch_end(self, trainer: Trainer, *rest: Any) -> None:
        """Asks."""
        if trainer.global_step == trainer.max_steps // 2:
            os.kill(os.getpid(), signal.SIGTERM)


class StopInTime(Callback):
    """Asks the run to stop once its time is over."""

    def setup(self, *rest: Any, **named: Any) -> None:
        """Start the clock."""
        self.ends_s = time.monotonic() + float(os.environ["BENCHMARK_SECONDS"])

    def on_train_batch_end(self, *rest: Any) -> None:
        """Asks, once."""
        if time.monotonic() > self.ends_s:
            self.ends_s = float("inf")
            os.kill(os.getpid(), signal.SIGTERM)


class Syncs(Callback):
    """Notes which lines wait for the GPU, in ten steps after the warm-up."""

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()

    def on_train_batch_end(self, trainer: Trainer, *rest: Any) -> None:
        """Begins to look, and ends."""
        if trainer.global_step == WARM_UP:
            warnings.simplefilter("always")
            warnings.showwarning = self.note
            torch.cuda.set_sync_debug_mode("warn")
        if trainer.global_step == WARM_UP + 10:
            torch.cuda.set_sync_debug_mode("default")
            keep({"syncs": dict(self.lines)})

    def note(self, message: Any, *rest: Any, **named: Any) -> None:
        """Take the place of Python's way to show a warning."""
        if SYNC_WARNING not in str(message):
            return
        frames = traceback.extract_stack()[:-1]
        ours = [
            frame
            for frame in frames
            if frame.filename.startswith(str(REPOSITORY))
            and "site-packages" not in frame.filename
            and "/benchmarks/" not in frame.filename
        ]
        chosen = ours[-1] if ours else frames[-1]
        file = chosen.filename.removeprefix(f"{REPOSITORY}/")
        inner = f" ({frames[-1].name})" if frames[-1] != chosen else ""
        self.lines[f"{file}:{chosen.lineno}{inner}"] += 1


class Graphs(Callback):
    """Keeps how many graphs were compiled."""

    def on_fit_end(self, *rest: Any) -> None:
        """Keep it."""
        from torch._dynamo.utils import counters

        keep({"graphs": counters["stats"]["unique_graphs"], "breaks": len(counters["graph_break"])})


class Peak(Callback):
    """Keeps the most memory that was reserved on the GPU, and how much PyTorch had given out of it."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep it."""
        if pl_module.device.type == "cuda":
            reserved, used = torch.cuda.max_memory_reserved(), torch.cuda.max_memory_allocated()
            free, total = torch.cuda.mem_get_info()
            keep({"reserved": reserved, "allocated": used, "taken": total - free})
