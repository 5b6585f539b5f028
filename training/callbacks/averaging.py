"""A moving average of the weights, which is validated and saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from problems import InvalidValue
from training.problems import InvalidSettings


class MovingAverage(WeightAveraging):
    """An exponential moving average of weights and running statistics, updated after each step.

    Validations and the best checkpoint use the average. In a checkpoint, ``state_dict`` is the average, which
    other runs start from and ``export`` writes; ``current_model_state`` has the trained weights.

    With a large decay, the average would contain the initial weights for most of a short run. Therefore the
    decay of update n is at most (1 + n) / (10 + n), as in TensorFlow's ``ExponentialMovingAverage``.

    Args:
        decay: Share of the average that remains in an update, such as 0.9999; above 0 and below 1.

    Raises:
        InvalidValue: The decay is out of range.
    """

    def __init__(self, decay: float) -> None:
        check_decay(decay)
        super().__init__()
        self._decay = decay
        self._has_average_in_place = False
        self._pairs: list[tuple[list[Tensor], list[Tensor]]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Create the average on the device of the network."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pair each average with its weight, once both are on their device."""
        assert self._average_model is not None
        network = self._average_model.module
        self._pairs = []
        averages = [*network.parameters(), *network.buffers()]
        pairs = [
            (average.detach(), current.detach())
            for average, current in zip(
                averages, [*pl_module.parameters(), *pl_module.buffers()], strict=True
            )
        ]
        for is_number in (True, False):
            chosen = [pair for pair in pairs if pair[0].is_floating_point() is is_number]
            self._pairs.append(([average for average, _ in chosen], [current for _, current in chosen]))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average after an optimiser step.

        `AveragedModel.update_parameters` does the same, but reads the number of updates from the device in
        every step, and waits for it.
        """
        updates = self._latest_update_step
        if trainer.global_step <= updates:
            return
        (averages, weights), (counted, counts) = self._pairs
        if counts:
            torch._foreach_copy_(counted, counts)  # numbers of batches of normalisations
        if updates:
            decay = min(self._decay, (1 + updates) / (10 + updates))
            torch._foreach_lerp_(averages, weights, 1 - decay)
        else:
            torch._foreach_copy_(averages, weights)
        assert self._average_model is not None
        self._average_model.n_averaged += 1
        self._latest_update_step = trainer.global_step

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the average in."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._has_average_in_place = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the weights back in."""
        super().on_validation_epoch_end(trainer, pl_module)
        self._has_average_in_place = False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Do not replace the weights by the average: the last checkpoint has both."""

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the weights and the average, also in a validation, when they are swapped."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._has_average_in_place:
            average = checkpoint["current_model_state"]
            checkpoint["current_model_state"], checkpoint["state_dict"] = checkpoint["state_dict"], average

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the weights and the average, also if the checkpoint has more layers than a new network."""
        assert self._average_model is not None
        for module in (pl_module, self._average_model.module):
            cast(LightningModule, module).on_load_checkpoint(checkpoint)
        self._average_model.to(self._device)
        super().on_load_checkpoint(trainer, pl_module, checkpoint)


@contextmanager
def average_in_place(trainer: Trainer) -> Iterator[None]:
    """Swap the average in, if the run has one, and the weights back in at the end."""
    averages = [one for one in trainer.callbacks if isinstance(one, MovingAverage)]  # type: ignore[attr-defined]
    for average in averages:
        average._swap_models(trainer.lightning_module)
    try:
        yield
    finally:
        for average in averages:
            average._swap_models(trainer.lightning_module)


def check_decay(decay: float) -> None:
    """Check the decay of an average.

    Raises:
        InvalidValue: It is out of range.
    """
    if not 0 < decay < 1:
        raise InvalidValue(InvalidSettings.EMA_DECAY, ema_decay=decay)
