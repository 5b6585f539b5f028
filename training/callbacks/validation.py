"""Validation by several processes, where the last one may have fewer batches than the first."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class SharedValidation(Callback):
    """A callback that allows each process its own number of validation batches.

    DistributedDataParallel would broadcast the running statistics of the first process in every batch, also
    in validation, and wait for processes that have no more batches. Here they are broadcast once, before the
    first batch, so that all processes validate the same network.
    """

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Broadcast the running statistics of the first process, and then stop broadcasting."""
        if trainer.world_size == 1:
            return
        for buffer in pl_module.buffers():
            torch.distributed.broadcast(buffer, 0)
        self._send_buffers(trainer, False)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Broadcast them again in training."""
        self._send_buffers(trainer, True)

    def _send_buffers(self, trainer: Trainer, does: bool) -> None:
        wrapped: Any = trainer.strategy.model
        if isinstance(wrapped, torch.nn.parallel.DistributedDataParallel):
            wrapped.broadcast_buffers = does


def count_common_batches(trainer: Trainer) -> int:
    """Return the smallest number of validation batches of any process; all processes must call this."""
    mine = min(int(number) for number in trainer.num_val_batches)
    if trainer.world_size == 1:
        return mine
    least = torch.tensor(mine, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(least, reduce_op="min"))
