"""Training recipes as data, and the optimiser and learning-rate schedule that are built from them."""

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from lightning_modules.problems import InvalidChoice
from lightning_modules.schedules import Cosine, OneCycle, Plateau, Schedule
from problems import InvalidValue

# Devices for which torch has fused SGD and AdamW. With 61 M parameters, a fused step on a CPU is five times
# as fast.
FUSED_DEVICES = frozenset({"cpu", "cuda", "mps"})

BuiltSchedule = tuple[LRScheduler | ReduceLROnPlateau, Literal["step", "epoch"], str | None]


@dataclass(frozen=True)
class Recipe:
    """All hyperparameters of a training except the network and the images.

    Args:
        source: The publication of the recipe.
        optimizer: The optimiser.
        learning_rate: The highest learning rate of the schedule, for ``batch_size`` images per step.
        momentum: Momentum of SGD and RMSprop; AdamW uses its default betas.
        nesterov: Whether SGD uses Nesterov momentum.
        rms_decay: Smoothing constant of RMSprop's mean squared gradient.
        rms_eps: Epsilon of RMSprop. PyTorch adds it after the square root, TensorFlow before.
        gradient_clip: Largest norm of the gradient of all parameters together; longer ones are scaled down.
        weight_decay: L2 penalty for SGD and RMSprop, decoupled weight decay for AdamW.
        decay_all: Whether weight decay also applies to biases and normalisation weights.
        batch_size: Number of images per step.
        epochs: Number of epochs.
        schedule: The learning-rate schedule.
        warmup_epochs: Number of epochs before the schedule begins.
        warmup_factor: Factor of the learning rate during the warm-up; ``None`` for a linear increase.
        label_smoothing: Amount of label smoothing.
        initialisation: The initialisation of the paper, or He's for all layers.
        augmentation: Name of the data augmentation.
        open_choices: What the source does not specify and what was chosen, a sentence each.
    """

    source: str
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    schedule: Schedule
    augmentation: str
    optimizer: Literal["sgd", "adamw", "rmsprop"] = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    rms_decay: float = 0.9
    rms_eps: float = 1.0
    gradient_clip: float | None = None
    decay_all: bool = True
    warmup_epochs: int = 0
    warmup_factor: float | None = None
    label_smoothing: float = 0.0
    initialisation: Literal["paper", "he"] = "paper"
    open_choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise InvalidValue(InvalidChoice.LEARNING_RATE, learning_rate=self.learning_rate)
        if self.warmup_epochs and isinstance(self.schedule, Plateau):
            raise ValueError("A plateau schedule has no warm-up; set warmup_epochs to 0.")


def modern(learning_rate: float) -> Recipe:
    """Return today's common recipe, the same for every family except for the learning rate."""
    return Recipe(
        source="Common practice since He et al., Bag of Tricks (CVPR 2019), and torchvision's references",
        learning_rate=learning_rate,
        nesterov=True,
        weight_decay=1e-4,
        decay_all=False,
        batch_size=256,
        epochs=100,
        schedule=Cosine(),
        warmup_epochs=5,
        label_smoothing=0.1,
        augmentation="modern",
        initialisation="he",
        open_choices=("The learning rate is ours: a tenth of ResNet's for networks without batch norm.",),
    )


def quick(learning_rate: float, epochs: int) -> Recipe:
    """Return a recipe that takes minutes, made for small images at 64 px on a CPU."""
    return Recipe(
        source="Ours, tuned on the digits of scikit-learn at 64 px",
        optimizer="adamw",
        learning_rate=learning_rate,
        weight_decay=5e-4,
        batch_size=32,
        epochs=epochs,
        schedule=OneCycle(),
        augmentation="light",
        initialisation="he",
    )


def scale_learning_rate(recipe: Recipe, images_per_step: int) -> Recipe:
    """Return the recipe with a learning rate in proportion to the number of images per step.

    This is the linear scaling rule of Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2.1. They
    tested it for SGD with a warm-up and up to 8,192 images per step; it may not hold for adaptive optimisers.

    Args:
        recipe: A recipe whose learning rate is for its ``batch_size`` images per step.
        images_per_step: Images per step on all devices together, including accumulated batches.
    """
    return replace(recipe, learning_rate=recipe.learning_rate * images_per_step / recipe.batch_size)


def build_optimizer(recipe: Recipe, module: nn.Module, fused: bool = True) -> Optimizer:
    """Build the recipe's optimiser for the trainable parameters of a module.

    Without ``decay_all``, parameters of one dimension (biases, normalisation weights) form a second group
    without weight decay.

    Args:
        recipe: The recipe.
        module: The module.
        fused: Whether to use a fused optimiser where the device has one. It cannot be combined with gradient
            clipping, because in mixed precision fused optimisers unscale the gradients themselves.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [{"params": parameters, "weight_decay": recipe.weight_decay}]
    if not recipe.decay_all:
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
    fused = fused and all(parameter.device.type in FUSED_DEVICES for parameter in parameters)
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=recipe.learning_rate, fused=fused)
    if recipe.optimizer == "rmsprop":
        return RMSprop(
            groups,
            lr=recipe.learning_rate,
            alpha=recipe.rms_decay,
            eps=recipe.rms_eps,
            momentum=recipe.momentum,
        )
    return SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=fused
    )


def build_scheduler(
    recipe: Recipe, optimizer: Optimizer, total_steps: int, steps_per_epoch: int
) -> BuiltSchedule:
    """Build the recipe's learning-rate scheduler for a training of ``total_steps`` optimiser steps.

    Returns:
        The scheduler, its interval, and the metric it monitors, if any.
    """
    schedule = recipe.schedule
    if isinstance(schedule, Plateau):
        scheduler = ReduceLROnPlateau(
            optimizer,
            factor=schedule.multiplier,
            patience=schedule.patience_epochs,
            min_lr=recipe.learning_rate * schedule.multiplier**schedule.reductions,
        )
        return scheduler, "epoch", schedule.monitor
    # The warm-up is limited to a tenth of the run, so that short runs reach their learning rate.
    warmup_steps = min(recipe.warmup_epochs * steps_per_epoch, total_steps // 10)

    def factor(step: int) -> float:
        if step < warmup_steps:
            rise = (step + 1) / (warmup_steps + 1)
            return rise if recipe.warmup_factor is None else recipe.warmup_factor
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return schedule.factor(progress, step / steps_per_epoch)

    return LambdaLR(optimizer, factor), "step", None
