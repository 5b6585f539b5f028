"""How much memory training a network takes, estimated from its ledger without running it.

The peak of a step is where the forward pass ends and the backward pass begins: all activations are there,
and so are the gradients of the step before, which training clears only then. Counted exactly are the
tensors that live at that moment. The workspace and the overhead on top are estimates whose three constants
come from measurements (``benchmarks/memory.py``): AlexNet, VGG-16, GoogLeNet and ResNet-50 on a CPU, in
float32 and bfloat16, 1.2 to 4.3 GB, are met within 12 % (medians of three trainings). The same training
varies by up to 8 % from run to run, once by 18 %; the heap grows for some four steps and then stays.

Not included: Python and the libraries before a network is built (about 0.8 GB), the processes that load
images, and the copy that a checkpoint is. On a GPU torch keeps a heap of its own, with other holes in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod

from lightning_modules import registry
from lightning_modules.ledger.table import PRECISIONS, Ledger, measure
from lightning_modules.recipes import Recipe

FLOAT32_BYTES = 4
# A batch arrives in bytes and is turned into float32 on the device; both stay for the step.
BYTES_PER_PIXEL = 1 + FLOAT32_BYTES
# Walking back through a layer takes the gradients of its output and of its input.
MAPS_IN_BACKWARD = 2
# glibc's heap, told to give nothing back (see training/hardware.py): what a freed activation leaves
# often fits no gradient. Measured from 0.15 (VGG-16, GoogLeNet) to 0.5 (ResNet-50 in float32).
HOLES_PER_ACTIVATION = 0.3
# Code that is loaded when first used, kernels that are compiled for each shape, stacks of threads.
LIBRARY_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a training step, by what they are for.

    Args:
        parameters: Weights, biases and running statistics, auxiliary heads included.
        gradients: One for each parameter.
        optimizer_state: What the optimiser remembers of earlier gradients.
        weight_copies: Weights in 16 bits, made by autocast and kept for the backward pass.
        activations: What autograd keeps of the forward pass; see `Ledger.activation_bytes`.
        images: The batch, as it arrives and in float32.
        workspace: Gradients of the largest map and of what it was made from. Estimated.
        overhead: Holes in the heap, and code that comes with the first step. Estimated.
    """

    parameters: int
    gradients: int
    optimizer_state: int
    weight_copies: int
    activations: int
    images: int
    workspace: int
    overhead: int

    @property
    def counted(self) -> int:
        """Bytes of tensors that live where the backward pass begins, without any estimate."""
        return self.total - self.workspace - self.overhead

    @property
    def total(self) -> int:
        """All together: how much the process grows from building the network to the end of a few steps."""
        return sum(getattr(self, part.name) for part in fields(self))


def estimate(
    key: str,
    num_classes: int | None = None,
    image_size: int | None = None,
    batch_size: int | None = None,
    precision: str = "32-true",
    recipe: str = "quick",
    options: Mapping[str, str] | None = None,
) -> Memory:
    """Estimates the memory that training an architecture of the registry takes.

    Args:
        key: A key of the registry.
        num_classes: Width of the classifier; the paper's if ``None``.
        image_size: Height and width of the square input in pixels; the paper's if ``None``.
        batch_size: Images a step; the recipe's if ``None``.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        recipe: ``paper``, ``modern`` or ``quick``; its optimiser decides on the state.
        options: Choices the architecture leaves open.

    Raises:
        ValueError: The key, an option, the recipe or the precision is unknown, the image too small or the
            batch below 1.
    """
    architecture = registry.get(key)
    chosen = architecture.get_recipe(recipe)
    size = architecture.input_size if image_size is None else image_size
    ledger = measure(key, num_classes, size, **(options or {}))
    return add_up(ledger, size, chosen.batch_size if batch_size is None else batch_size, precision, chosen)


def add_up(ledger: Ledger, image_size: int, batch_size: int, precision: str, recipe: Recipe) -> Memory:
    """Estimates the memory that a network takes from its ledger at the same image size.

    Raises:
        ValueError: The precision is unknown or the batch below 1.
    """
    activations = ledger.activation_bytes(batch_size, precision)
    is_mixed = PRECISIONS[precision] == 1
    weights = FLOAT32_BYTES * ledger.parameters_with_auxiliary
    largest_map = max(prod(layer.output_shape) for layer in ledger.layers)
    value_bytes = 2 if is_mixed else FLOAT32_BYTES
    return Memory(
        parameters=weights + FLOAT32_BYTES * ledger.running_statistics_with_auxiliary,
        gradients=weights,
        optimizer_state=weights * count_states(recipe),
        weight_copies=ledger.weight_copy_bytes if is_mixed else 0,
        activations=activations,
        images=batch_size * 3 * image_size**2 * BYTES_PER_PIXEL,
        workspace=MAPS_IN_BACKWARD * batch_size * largest_map * value_bytes,
        overhead=round(HOLES_PER_ACTIVATION * activations) + LIBRARY_BYTES,
    )


def count_states(recipe: Recipe) -> int:
    """Returns how many numbers the recipe's optimiser keeps for each parameter."""
    if recipe.optimizer == "adamw":
        return 2  # running means of the gradient and of its square
    return int(recipe.momentum > 0) + int(recipe.optimizer == "rmsprop")
