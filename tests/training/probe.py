"""Callbacks for `--trainer.callbacks`."""

import atexit
import hashlib
import json
import os
import random
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.utilities.types import LRSchedulerConfig
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from datamodules.imagenet import ImageNetDataModule
from datamodules.reading import on_device
from training.callbacks import stopping


class Probe(Callback):
    """Switches dropout off, which draws differently on each process, and keeps the losses.

    The file is named by the environment, since a run's settings should not depend on where it ran.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for layer in pl_module.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean")))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            Path(os.environ["PROBE_FILE"]).write_text(json.dumps(self.losses), encoding="utf-8")


class Chance(Callback):
    """Moves a weight by what each source of random numbers draws, so that all of them count."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
        weight = next(pl_module.parameters())
        drawn = random.random() + np.random.rand() + torch.rand(())
        with torch.no_grad():
            weight.add_(1e-3 * drawn)


class Diary(Callback):
    """Writes down every batch's loss and images; the environment says when it ends badly.

    FATE is `rank,batches,delay_ms`: after so many batches that process is killed by another thread, wherever
    training is by then. STOP is `train,batches` or `val,batches`: SIGTERM to the first process after so many
    batches of a kind.
    """

    def __init__(self) -> None:
        self.batches = {"train": 0, "val": 0}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        images = hashlib.sha256(batch[0].numpy().tobytes()).hexdigest()
        line = json.dumps([[trainer.current_epoch, batch_idx], float(outputs["loss"]), images])
        run_id = trainer.loggers[0].version
        with Path(f"{os.environ['DIARY']}-{run_id}-{trainer.global_rank}").open(
            "a", encoding="utf-8"
        ) as diary:
            diary.write(line + "\n")
        self.count("train")
        rank, batches, delay_ms = (int(word) for word in os.environ.get("FATE", "0,-1,0").split(","))
        if (trainer.global_rank, self.batches["train"]) == (rank, batches):
            threading.Timer(delay_ms / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def on_validation_batch_start(self, *rest: Any) -> None:
        self.count("val")

    def count(self, kind: str) -> None:
        self.batches[kind] += 1
        is_first = os.environ.get("LOCAL_RANK", "0") == "0"  # it alone looks for requests
        if is_first and os.environ.get("STOP") == f"{kind},{self.batches[kind]}":
            os.kill(os.getpid(), signal.SIGTERM)


class OnDevice(Callback):
    """Lets small image sets live on the device that trains, which tests have only a CPU for."""

    def __init__(self) -> None:
        on_device.DEVICES = frozenset({"cpu"})


class Talkative(Callback):
    """Lets the processes of a run ask each other with every batch whether they are to stop."""

    def __init__(self) -> None:
        stopping.AGREE_INTERVAL_S = 0.0


class Hurry(Callback):
    """Lets a process that was asked to stop before it trained wait for another for a second only."""

    def __init__(self) -> None:
        stopping.PATIENCE_S = 1.0


class Recount(Callback):
    """Validates on all images once more, in the first process alone, and keeps what both have found."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule
        alone = ImageNetDataModule(batch_size=100, image_size=data.image_size, classes=3)
        hits, losses = 0, []
        pl_module.eval()
        with torch.no_grad():
            for batch in alone.val_dataloader():
                logits = pl_module(alone.normalise(batch.images).double())
                losses.append(nn.functional.cross_entropy(logits, batch.labels, reduction="none"))
                hits += int((logits.argmax(dim=1) == batch.labels).sum())
        images = torch.cat(losses)
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        found |= {"images": len(images), "batches": int(trainer.num_val_batches[0])}
        found |= {"alone/loss": float(images.mean()), "alone/error": 100 * (1 - hits / len(images))}
        Path(os.environ["PROBE_FILE"]).write_text(json.dumps(found), encoding="utf-8")


class Grudge(Callback):
    """Fails in the second process; whoever takes his leave as usual is seen, by a file with his rank."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        farewell = Path(f"{os.environ['PROBE_FILE']}-{trainer.global_rank}")
        atexit.register(farewell.touch)

    def on_train_batch_end(self, trainer: Trainer, *rest: Any) -> None:
        if trainer.global_rank == 1:
            raise RuntimeError("a fault of the second")


class Collectives(Callback):
    """Counts what processes tell each other, and keeps what NCCL would refuse: it knows tensors of a device.

    That is a tensor that lies elsewhere than the network is trained, or anything after the strategy has moved
    the network away. Gloo, which tests use, takes both.
    """

    NAMES = ("all_reduce", "reduce", "broadcast", "all_gather", "all_gather_into_tensor", "reduce_scatter")
    OBJECTS = ("all_gather_object", "broadcast_object_list", "gather_object", "barrier")

    def __init__(self) -> None:
        self.calls, self.refused = 0, []
        self.is_torn_down = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for name in (*self.NAMES, *self.OBJECTS):
            setattr(torch.distributed, name, self.watched(trainer, name, getattr(torch.distributed, name)))
        tear_down = trainer.strategy.teardown

        def teardown() -> None:
            tear_down()
            self.is_torn_down = True

        trainer.strategy.teardown = teardown

    def watched(self, trainer: Trainer, name: str, call: Any) -> Any:
        def do(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            tensors = [one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)]
            if self.is_torn_down or any(one.device != trainer.strategy.root_device for one in tensors):
                self.refused.append(name)
            return call(*args, **kwargs)

        return do

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.is_global_zero:
            atexit.register(self.keep)

    def keep(self) -> None:
        Path(os.environ["PROBE_FILE"]).write_text(json.dumps([self.calls, self.refused]), encoding="utf-8")


class Impatience(Callback):
    """Puts a plateau schedule, which depends on the validations, in the place of the recipe's."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        scheduler = ReduceLROnPlateau(trainer.optimizers[0], factor=0.7, patience=0, threshold=0.3)
        trainer.strategy.lr_scheduler_configs = [
            LRSchedulerConfig(scheduler, interval="epoch", reduce_on_plateau=True, monitor="val/error_top1")
        ]


class FullDisk(Checkpoint):
    """Lets the fourth checkpoint fail in the middle: no file may have more than a megabyte.

    Of all callbacks those of this type are last, so that the metrics are written by then.
    """

    def __init__(self) -> None:
        self.saved = 0
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: Any) -> None:
        self.saved += 1
        if self.saved == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, self.limits[1]))

    def on_exception(self, *rest: Any) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)


class Misfortune(Callback):
    """Lets happen after the fourth batch what MISFORTUNE names."""

    def on_train_batch_end(self, trainer: Trainer, *rest: Any) -> None:
        if trainer.global_step != 4:
            return
        what = os.environ.get("MISFORTUNE")
        if what == "memory of a rank" and trainer.global_rank == 1:
            torch.empty(10**15)
        if what == "memory":
            torch.empty(10**15)
        if what == "worker":
            workers = [one for one in psutil.Process().children() if one.name().startswith(("python", "pt_"))]
            workers[0].kill()
        if what == "numbers":
            with torch.no_grad():
                next(trainer.lightning_module.parameters()).fill_(float("nan"))

    def on_save_checkpoint(self, *rest: Any) -> None:
        if os.environ.get("MISFORTUNE") == "stop while saving":
            os.kill(os.getpid(), signal.SIGTERM)


class Stuck(Callback):
    """Never comes back from a phase of the training, whatever signal it gets."""

    def __init__(self, phase: str) -> None:
        self.phase = phase

    def stay(self, phase: str) -> None:
        if phase == self.phase:
            sys.stdout.write(f"stuck in {phase}\n")
            sys.stdout.flush()
        while phase == self.phase:
            time.sleep(1)

    def on_train_batch_start(self, *rest: Any) -> None:
        self.stay("first batch")

    def on_validation_batch_start(self, *rest: Any) -> None:
        self.stay("validation")

    def on_save_checkpoint(self, *rest: Any) -> None:
        self.stay("saving")


class Reluctance(Callback):
    """Takes longer than any test for what PHASE names, and is asked to stop meanwhile."""

    def dawdle(self, phase: str) -> None:
        if os.environ["PHASE"] == phase:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(3600)

    def setup(self, *rest: Any, **named: Any) -> None:
        self.dawdle("setup")

    def on_fit_start(self, *rest: Any) -> None:
        self.dawdle("device")

    def on_train_start(self, *rest: Any) -> None:
        self.dawdle("first batch")
