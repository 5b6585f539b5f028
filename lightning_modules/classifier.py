"""The LightningModule that trains all architectures of the registry."""

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
    """A network of the registry with its loss, its errors and its training recipe.

    The training step is the same for all networks: the cross-entropy of the logits, plus that of each
    auxiliary head times its weight in ``network.auxiliary_weights``.

    Args:
        architecture: A key of the registry, such as ``resnet50``.
        num_classes: Number of classes.
        image_size: Height and width of the square input, in pixels.
        recipe: ``paper``, ``modern`` or ``quick``.
        options: Options of the architecture, such as ``{"stride_on": "3x3"}``.
        learning_rate: Replaces the learning rate of the recipe.
        weights: The weights to start from: ``torchvision`` for its published weights, the file of a
            checkpoint (with ``python -m training`` also the name or id of an earlier run), or None for the
            recipe's initialisation. It is not saved in checkpoints, which have weights of their own.
        scale_learning_rate: Whether ``python -m training`` scales the learning rate with the number of images
            per step; see `recipes.scale_learning_rate`.
        ema_decay: Decay of the moving average of the weights that ``python -m training`` validates and saves;
            see `training.callbacks.averaging`. None for no average.
        compile: Whether to compile the network with ``torch.compile``. The names of its weights do not
            change.

    Attributes:
        start: The weights that it started from, None after an initialisation.

    Raises:
        InvalidValue: The architecture, recipe or an option is unknown, the image size is too small, or the
            weights cannot be loaded.
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
            # In place, so that the names of weights do not change. There are few batch sizes: the full one,
            # and that of the last batch of a validation, for which dynamic shapes would make slower kernels.
            self.network.compile(dynamic=False)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=self.recipe.label_smoothing)
        self.train_errors, self.val_errors = TopErrors(num_classes), TopErrors(num_classes)
        # `self.log` would divide by the average number of images per process, rounded down.
        self.val_loss = MeanLoss()

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (N x 3 x S x S) to logits (N x classes) and, in training, auxiliary ones."""
        logits: Tensor = self.network(self.rescale(images))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch, including that of auxiliary heads.

        Labels are classes (N) or, for mixed images, the share of each class (N x classes). The recipe's label
        smoothing is applied to both.
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
        """Log the training errors of the epoch."""
        self.log_dict({f"train/{name}": error for name, error in self.train_errors.compute().items()})
        self.train_errors.reset()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add one batch to the validation loss and errors."""
        images, labels = batch
        if not len(labels):  # none of its images could be read
            return
        logits = self(images)
        self.val_errors.update(logits, labels)
        self.val_loss.update(nn.functional.cross_entropy(logits, labels), len(labels))

    def on_validation_epoch_end(self) -> None:
        """Log the validation loss and errors."""
        errors = {f"val/{name}": error for name, error in self.val_errors.compute().items()}
        self.log_dict({"val/loss": self.val_loss.compute(), **errors})
        self.val_loss.reset()
        self.val_errors.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimiser and the learning-rate scheduler of the recipe."""
        clips = bool(self.trainer.gradient_clip_val) or self.recipe.gradient_clip is not None
        optimizer = build_optimizer(self.recipe, self.network, fused=not clips)
        self.trainer.fit_loop.setup_data()  # otherwise the number of batches may be unknown
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
        """Clip gradients as the trainer is configured to do or, by default, to the norm of the recipe."""
        if gradient_clip_val is None:
            gradient_clip_val, gradient_clip_algorithm = self.recipe.gradient_clip, "norm"
        if gradient_clip_val is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the counts of the training errors of this epoch, summed over all processes."""
        if self._trainer is None:
            return  # nothing was trained
        strategy = self.trainer.strategy
        checkpoint["train_errors"] = {
            name: strategy.reduce(count.to(strategy.root_device, copy=True), reduce_op="sum")  # in place
            for name, count in self.train_errors.counts().items()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the counts of the interrupted epoch, and the rescaling layer of some published weights."""
        if "rescale.scale" in checkpoint["state_dict"]:
            self.rescale = Rescale()
        if self._trainer is None or not self.trainer.is_global_zero:
            return  # the first process has the sum over all processes
        if "train_errors" in checkpoint:
            self.train_errors.take_up(checkpoint["train_errors"])
