"""How a network is trained, as data, and the optimiser and schedule made from it."""

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from lightning_modules.schedules import Cosine, OneCycle, Plateau, Schedule

# Devices for which torch has SGD and AdamW as one kernel: at 61 M parameters a step on a CPU takes a fifth.
FUSED_DEVICES = frozenset({"cpu", "cuda", "mps"})

BuiltSchedule = tuple[LRScheduler | ReduceLROnPlateau, Literal["step", "epoch"], str | None]


@dataclass(frozen=True)
class Recipe:
    """Everything but the network and the images that decides how a training goes.

    Args:
        source: Where it is written down.
        optimizer: The rule of the update.
        learning_rate: The highest, before the schedule; for ``batch_size`` images a step.
        momentum: Of SGD and RMSProp; AdamW keeps its usual two.
        nesterov: Whether SGD looks ahead.
        rms_decay: How much of RMSProp's mean square gradient stays from step to step.
        rms_eps: What RMSProp adds to its root. torch adds it after the root, TensorFlow before.
        gradient_clip: Longest gradient, by its Euclidean norm over all parameters; longer ones are scaled.
        weight_decay: L2 penalty of SGD and RMSProp, decoupled with AdamW.
        decay_all: Whether biases and normalisation weights decay too.
        batch_size: Images a step.
        epochs: Passes over the training images.
        schedule: How the learning rate moves.
        warmup_epochs: Epochs before the schedule counts in full.
        warmup_factor: Share of the learning rate during them; ``None`` is a linear rise.
        label_smoothing: Share of the target spread over all classes.
        initialisation: The network's own, or He's for all its layers.
        augmentation: Name of what the datamodule does to training images.
        open_choices: What the source leaves open and what was chosen, a sentence each.
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
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0.")
        if self.warmup_epochs and isinstance(self.schedule, Plateau):
            raise ValueError("A plateau schedule has no warm-up; set warmup_epochs to 0.")


def modern(learning_rate: float) -> Recipe:
    """Returns what most reference trainings do today, the same for every family but the learning rate."""
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
    """Returns a training of minutes, made to learn small images at 64 px on a CPU."""
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
    """Returns the recipe with a learning rate in proportion to the images of a step.

    The linear rule of Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2.1: k times the images,
    k times the learning rate. They found it for SGD with a warm-up and up to 8,192 images; for the adaptive
    optimisers nothing says that it holds.

    Args:
        recipe: Its learning rate is for its ``batch_size`` images a step.
        images_per_step: On all devices together, over all batches whose gradients are added up.
    """
    return replace(recipe, learning_rate=recipe.learning_rate * images_per_step / recipe.batch_size)


def build_optimizer(recipe: Recipe, module: nn.Module, fused: bool = True) -> Optimizer:
    """Returns the recipe's optimiser over the module's trainable parameters.

    Without ``decay_all``, parameters of one dimension (biases, normalisation) form a second group
    that does not decay.

    Args:
        recipe: Names the optimiser and its numbers.
        module: Has the parameters.
        fused: Whether it may be one kernel where the device has such. Not where gradients are clipped: fused
            optimisers take the scaling of mixed precision back themselves, so that nothing can be clipped
            before.
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
    """Returns the recipe's schedule for a training of ``total_steps`` optimiser steps.

    Returns:
        The scheduler, how often to step it, and the metric it looks at, if any.
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
    # A run spends at most a tenth of itself on the warm-up, however short: it should see its learning rate.
    warmup_steps = min(recipe.warmup_epochs * steps_per_epoch, total_steps // 10)

    def factor(step: int) -> float:
        if step < warmup_steps:
            rise = (step + 1) / (warmup_steps + 1)
            return rise if recipe.warmup_factor is None else recipe.warmup_factor
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return schedule.factor(progress, step / steps_per_epoch)

    return LambdaLR(optimizer, factor), "step", None
