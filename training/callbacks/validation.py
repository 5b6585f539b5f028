"""Validation by several processes, of which the last may have a batch less than the first."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class SharedValidation(Callback):
    """Lets every process walk through its own images, however many batches they are.

    DistributedDataParallel would send the running statistics of the first process to all others with every
    batch, also in validation, and wait for those that have no batch any more. Here they are sent once, before
    the first batch: all look at their images with the same network.
    """

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Makes the statistics those of the first process, and then leaves them alone."""
        if trainer.world_size == 1:
            return
        for buffer in pl_module.buffers():
            torch.distributed.broadcast(buffer, 0)
        self._send_buffers(trainer, False)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lets training send them again."""
        self._send_buffers(trainer, True)

    def _send_buffers(self, trainer: Trainer, does: bool) -> None:
        wrapped: Any = trainer.strategy.model
        if isinstance(wrapped, torch.nn.parallel.DistributedDataParallel):
            wrapped.broadcast_buffers = does


def count_common_batches(trainer: Trainer) -> int:
    """Returns how many validation batches every process has; all of them have to call this."""
    mine = min(int(number) for number in trainer.num_val_batches)
    if trainer.world_size == 1:
        return mine
    least = torch.tensor(mine, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(least, reduce_op="min"))
