"""A callback for `--trainer.callbacks`: no dropout, and every step's loss written down."""

import json
import os
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn


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
