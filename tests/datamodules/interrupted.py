"""Trains on numbered images three times, whole, interrupted and resumed, and writes down what each one saw.

Called as `python -m tests.datamodules.interrupted IMAGES RESULTS`; DEVICES in the environment says how many
processes share the images.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from datamodules.imagenet import ImageNetDataModule

EPOCHS, STOP_AT = 3, 8


class Reader(LightningModule):
    """Notes the number of every image it is shown, which is its red."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.seen: list[int] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        data: Any = self.trainer.datamodule
        red = (images[:, 0, 0, 0] * data.images.std[0] + data.images.mean[0]) * 255
        self.seen += red.round().int().tolist()
        return nn.functional.cross_entropy(self.layer(images.mean((2, 3))), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches  # asks for the loader before the state is restored
        return torch.optim.SGD(self.parameters(), 0.1)


class Interruption(Callback):
    """Saves and leaves in the middle of the second epoch."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
        if trainer.global_step == STOP_AT:
            trainer.save_checkpoint(self.file)
            raise KeyError("interrupted")


def train(images: Path, num_workers: int, devices: int, stop: Path | None, resume: Path | None) -> list[int]:
    data = ImageNetDataModule(
        "folder", str(images), image_size=8, batch_size=8, num_workers=num_workers, seed=3
    )
    reader = Reader()
    trainer = Trainer(
        max_epochs=EPOCHS,
        # A limit, so that the epoch does not end with the images.
        limit_train_batches=6 if devices == 1 else 1.0,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[Interruption(stop)] if stop else [],
    )
    try:
        trainer.fit(reader, datamodule=data, ckpt_path=resume)
    except KeyError:
        assert stop
    return reader.seen


if __name__ == "__main__":
    images, results = Path(sys.argv[1]), Path(sys.argv[2])
    devices, rank = int(os.environ["DEVICES"]), int(os.environ.get("LOCAL_RANK", 0))
    for num_workers in (0, 2):
        file = results / f"{num_workers}.ckpt"
        seen = [
            train(images, num_workers, devices, None, None),
            train(images, num_workers, devices, file, None),
            train(images, 2 - num_workers, devices, None, file),
        ]
        (results / f"{num_workers}-{rank}.json").write_text(json.dumps(seen))
