"""A moving average of the weights, which is what is validated and kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor


class MovingAverage(WeightAveraging):
    """Keeps an exponential moving average of weights and running statistics, updated after each step.

    Validations, and so the best checkpoint, are of the average. In a checkpoint ``state_dict`` is the
    average, from which other runs start and which ``export`` takes; ``current_model_state`` is what is being
    trained.

    A long memory would hold the random weights of the beginning for most of a short run. So the decay of
    update n is at most (1 + n) / (10 + n), as in TensorFlow's ``ExponentialMovingAverage``.

    Args:
        decay: Share of the average that stays with an update, such as 0.9999; above 0 and below 1.

    Raises:
        ValueError: The decay is out of its range.
    """

    def __init__(self, decay: float) -> None:
        check_decay(decay)
        super().__init__()
        self._decay = decay
        self._has_average_in_place = False
        self._pairs: list[tuple[list[Tensor], list[Tensor]]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes room for the average, where the network will be."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pairs each average with its weight, once both are where they stay."""
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
        """Moves the average after an optimiser step.

        As `AveragedModel.update_parameters` does, which asks the device with every step how often it has done
        so already, and waits for the answer.
        """
        updates = self._latest_update_step
        if trainer.global_step <= updates:
            return
        (averages, weights), (counted, counts) = self._pairs
        if counts:
            torch._foreach_copy_(counted, counts)  # how many batches a normalisation has seen
        if updates:
            decay = min(self._decay, (1 + updates) / (10 + updates))
            torch._foreach_lerp_(averages, weights, 1 - decay)
        else:
            torch._foreach_copy_(averages, weights)
        assert self._average_model is not None
        self._average_model.n_averaged += 1
        self._latest_update_step = trainer.global_step

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the average in the place of the weights."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._has_average_in_place = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the weights back."""
        super().on_validation_epoch_end(trainer, pl_module)
        self._has_average_in_place = False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the weights as they are: the last checkpoint has both."""

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds both kinds of weights, also in a validation, in which they have changed places."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._has_average_in_place:
            average = checkpoint["current_model_state"]
            checkpoint["current_model_state"], checkpoint["state_dict"] = checkpoint["state_dict"], average

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes up both kinds of weights, also where the checkpoint has a layer more than a new network."""
        assert self._average_model is not None
        for module in (pl_module, self._average_model.module):
            cast(LightningModule, module).on_load_checkpoint(checkpoint)
        self._average_model.to(self._device)
        super().on_load_checkpoint(trainer, pl_module, checkpoint)


@contextmanager
def average_in_place(trainer: Trainer) -> Iterator[None]:
    """Puts the average, where a run has one, in the place of its weights for a while."""
    averages = [one for one in trainer.callbacks if isinstance(one, MovingAverage)]  # type: ignore[attr-defined]
    for average in averages:
        average._swap_models(trainer.lightning_module)
    try:
        yield
    finally:
        for average in averages:
            average._swap_models(trainer.lightning_module)


def check_decay(decay: float) -> None:
    """Raises ValueError when an average cannot have this decay."""
    if not 0 < decay < 1:
        raise ValueError(f"ema_decay is {decay:g}; it must be above 0 and below 1, such as 0.9999.")
