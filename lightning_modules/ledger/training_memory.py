"""An estimate of the memory that training a network takes, from its ledger and without running it.

The peak of a step is at the end of the forward pass, when all activations exist, and also the gradients of
the previous step, which are cleared only afterwards. The tensors that exist at this moment are counted
exactly. The workspace and the overhead are estimates with three constants from measurements
(``benchmarks/memory.py``): AlexNet, VGG-16, GoogLeNet and ResNet-50 on a CPU, in float32 and bfloat16, with
1.2 to 4.3 GB, agree within 12 % (medians of three trainings). The same training varies by up to 8 % from run
to run, once by 18 %. The heap grows during the first four steps or so.

Not included are Python and the libraries before a network is built (about 0.8 GB), the DataLoader's worker
processes, and the copy for a checkpoint. On a GPU, PyTorch's own allocator has another overhead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod

from lightning_modules import registry
from lightning_modules.ledger.table import PRECISIONS, Ledger, measure
from lightning_modules.recipes import Recipe

FLOAT32_BYTES = 4
# A batch arrives in bytes and is converted to float32 on the device; both are kept for the step.
BYTES_PER_PIXEL = 1 + FLOAT32_BYTES
# The backward pass of a layer needs the gradients of its output and of its input.
MAPS_IN_BACKWARD = 2
# Fragmentation of glibc's heap, which keeps freed memory (see training/hardware.py): gradients often do not
# fit where activations were. Measured from 0.15 (VGG-16, GoogLeNet) to 0.5 (ResNet-50 in float32).
HOLES_PER_ACTIVATION = 0.3
# Code that is loaded on first use, kernels that are compiled for each shape, stacks of threads.
LIBRARY_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a training step, by purpose.

    Args:
        parameters: Weights, biases and running statistics, with auxiliary heads.
        gradients: One value for each parameter.
        optimizer_state: State of the optimiser.
        weight_copies: 16-bit copies of weights that autocast keeps for the backward pass.
        activations: Tensors that autograd keeps from the forward pass; see `Ledger.activation_bytes`.
        images: The batch, in bytes and in float32.
        workspace: Gradients of the largest feature map and of the input of its layer (estimate).
        overhead: Fragmentation of the heap, and code that the first step loads (estimate).
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
        """Bytes of tensors that exist when the backward pass begins, without the estimates."""
        return self.total - self.workspace - self.overhead

    @property
    def total(self) -> int:
        """All bytes: the growth of the process from building the network to the end of a few steps."""
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
    """Estimate the memory that training an architecture of the registry takes.

    Args:
        key: A key of the registry.
        num_classes: Number of classes; the paper's if ``None``.
        image_size: Height and width of the square input in pixels; the paper's if ``None``.
        batch_size: Number of images per step; the recipe's if ``None``.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        recipe: ``paper``, ``modern`` or ``quick``, which determines the optimiser.
        options: Options of the architecture.

    Raises:
        InvalidValue: The key, an option, the recipe or the precision is unknown, the image is too small, or
            the batch size is below 1.
    """
    architecture = registry.get(key)
    chosen = architecture.get_recipe(recipe)
    size = architecture.input_size if image_size is None else image_size
    ledger = measure(key, num_classes, size, **(options or {}))
    return add_up(ledger, size, chosen.batch_size if batch_size is None else batch_size, precision, chosen)


def add_up(ledger: Ledger, image_size: int, batch_size: int, precision: str, recipe: Recipe) -> Memory:
    """Estimate the memory that training a network takes, from its ledger at the same image size.

    Raises:
        InvalidValue: The precision is unknown, or the batch size is below 1.
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
    """Return how many values the recipe's optimiser keeps for each parameter."""
    if recipe.optimizer == "adamw":
        return 2  # running means of the gradient and of its square
    return int(recipe.momentum > 0) + int(recipe.optimizer == "rmsprop")
