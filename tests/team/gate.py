"""A callback that lets a test say when training goes on."""

import os
import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

TIMEOUT_S = 240


class Gate(Callback):
    """Waits before each of the epochs until a file says to go on."""

    def __init__(self, epochs: list[int]) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch in self.epochs:
            gate = Path(os.environ["GATES"]) / f"{trainer.loggers[0].version}-{trainer.current_epoch}"
            gate.with_suffix(".here").touch()
            wait_for_file(gate.with_suffix(".go"))


def wait_for_file(file: Path) -> None:
    until = time.monotonic() + TIMEOUT_S
    while not file.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{file} does not come")
        time.sleep(0.02)
