"""The LightningModule that trains every architecture of the registry."""

import math
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_modules import registry
from lightning_modules.initialisation import draw_he
from lightning_modules.metrics import MeanLoss, TopErrors
from lightning_modules.recipes import build_optimizer, build_scheduler
from lightning_modules.weights import Rescale, Start, start_from


class ImageClassifier(LightningModule):
    """A network of the registry, its loss, its errors and the recipe that trains it.

    The step is the same for every network: cross-entropy on the logits, plus that of each auxiliary
    head times its weight in ``network.auxiliary_weights``.

    Args:
        architecture: A key of the registry, such as ``resnet50``.
        num_classes: Width of the classifier.
        image_size: Height and width of the square input, in pixels.
        recipe: ``paper``, ``modern`` or ``quick``.
        options: Choices the architecture leaves open, such as ``{"stride_on": "3x3"}``.
        learning_rate: Instead of the recipe's.
        weights: Where to start: ``torchvision`` for its published weights, a checkpoint of an earlier run
            (its file; with ``python -m training`` also its name or id), or None for the recipe's
            initialisation. A checkpoint of this module does not need it: it has weights of its own.
        scale_learning_rate: Whether ``python -m training`` makes the learning rate proportional to the images
            of a step; see `recipes.scale_learning_rate`.
        ema_decay: Of a moving average of the weights that ``python -m training`` validates and keeps; see
            `training.callbacks.averaging`. None keeps none.
        compile: Whether ``torch.compile`` makes kernels for the network. The names of its weights stay.

    Attributes:
        start: What it started from, and which layers did not; None after an initialisation.

    Raises:
        ValueError: The architecture, recipe or option is unknown, the image size too small, or the weights
            are not to be had or of another network.
    """

    def __init__(
        self,
        architecture: str = "resnet18",
        num_classes: int = 1000,
        image_size: int = 224,
        recipe: str = "quick",
        options: dict[str, str] | None = None,
        learning_rate: float | None = None,
        weights: str | None = None,
        scale_learning_rate: bool = False,
        ema_decay: float | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore="weights", logger=False)
        self.architecture = registry.get(architecture)
        self.recipe = self.architecture.get_recipe(recipe, learning_rate=learning_rate)
        network = self.architecture.build(num_classes, image_size, **(options or {}))
        if self.recipe.initialisation == "he":
            draw_he(network)
        self.start: Start | None = None
        if weights is not None:
            self.start = start_from(weights, self.architecture, network, options or {})
        self.rescale: nn.Module = Rescale() if self.start and self.start.rescales else nn.Identity()
        self.network: nn.Module = network.to(memory_format=torch.channels_last)
        if compile:
            # In place, so that no name of a weight changes. Shapes are few: full batches, and the last one of
            # a validation, for which kernels of any size would be made, and be slower, if that were allowed.
            self.network.compile(dynamic=False)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=self.recipe.label_smoothing)
        self.train_errors, self.val_errors = TopErrors(num_classes), TopErrors(num_classes)
        # `self.log` would divide by the processes' average number of images, rounded down.
        self.val_loss = MeanLoss()

    def forward(self, images: Tensor) -> Tensor:
        """Maps normalised images (N x 3 x S x S) to logits (N x classes); in training also auxiliary ones."""
        logits: Tensor = self.network(self.rescale(images))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Returns the loss of one batch; auxiliary heads count with the network's own weights.

        Labels are N classes or, of mixed images, the share of every class, N x classes; the recipe's label
        smoothing comes on top.
        """
        images, labels = batch
        outputs = self.network(self.rescale(images))
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss: Tensor = self.criterion(logits, labels)
        weights = cast(tuple[float, ...], self.network.auxiliary_weights)
        for weight, auxiliary_logits in zip(weights, auxiliary, strict=True):
            loss = loss + weight * self.criterion(auxiliary_logits, labels)
        self.train_errors.update(logits.detach(), labels)
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs the training errors of the epoch."""
        self.log_dict({f"train/{name}": error for name, error in self.train_errors.compute().items()})
        self.train_errors.reset()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Adds one batch to the validation loss and errors."""
        images, labels = batch
        if not len(labels):  # none of its images could be read
            return
        logits = self(images)
        self.val_errors.update(logits, labels)
        self.val_loss.update(nn.functional.cross_entropy(logits, labels), len(labels))

    def on_validation_epoch_end(self) -> None:
        """Logs the validation loss and errors."""
        errors = {f"val/{name}": error for name, error in self.val_errors.compute().items()}
        self.log_dict({"val/loss": self.val_loss.compute(), **errors})
        self.val_loss.reset()
        self.val_errors.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Builds the optimiser and the learning-rate schedule of the recipe."""
        clips = bool(self.trainer.gradient_clip_val) or self.recipe.gradient_clip is not None
        optimizer = build_optimizer(self.recipe, self.network, fused=not clips)
        self.trainer.fit_loop.setup_data()  # or the number of batches may not be known yet
        total_steps = int(self.trainer.estimated_stepping_batches)
        batches = self.trainer.num_training_batches
        steps_per_epoch = max(1, math.ceil(min(batches / self.trainer.accumulate_grad_batches, total_steps)))
        scheduler, interval, monitor = build_scheduler(self.recipe, optimizer, total_steps, steps_per_epoch)
        schedule: dict[str, Any] = {"scheduler": scheduler, "interval": interval, "frequency": 1}
        return {"optimizer": optimizer, "lr_scheduler": schedule | ({"monitor": monitor} if monitor else {})}  # type: ignore[return-value]

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Shortens gradients as the trainer says or, where it says nothing, to the recipe's norm."""
        if gradient_clip_val is None:
            gradient_clip_val, gradient_clip_algorithm = self.recipe.gradient_clip, "norm"
        if gradient_clip_val is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what the epoch's training errors have counted so far, in all processes together."""
        if self._trainer is None:
            return  # nothing was trained
        strategy = self.trainer.strategy
        checkpoint["train_errors"] = {
            name: strategy.reduce(count.to(strategy.root_device, copy=True), reduce_op="sum")  # in place
            for name, count in self.train_errors.counts().items()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the counts of the interrupted epoch, and makes room for what may precede the network.

        That is there in a run which started from published weights.
        """
        if "rescale.scale" in checkpoint["state_dict"]:
            self.rescale = Rescale()
        if self._trainer is None or not self.trainer.is_global_zero:
            return  # the sum over all processes stays what it was
        if "train_errors" in checkpoint:
            self.train_errors.take_up(checkpoint["train_errors"])
