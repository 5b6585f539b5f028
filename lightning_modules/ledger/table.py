"""Parameters, multiply-accumulates, receptive fields and activation memory of a network, without running it.

Everything is measured on PyTorch's meta device, whose tensors have shapes but no numbers. The network runs
there once in training mode, once in training mode under autocast and, if it has auxiliary heads, once in
evaluation mode.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from lightning_modules import registry
from lightning_modules.initialisation import without_numbers
from lightning_modules.ledger.tracing import KINDS, Pair, as_pair, kind_of, longer_sides, trace_once
from lightning_modules.problems import InvalidChoice
from problems import InvalidValue

WEIGHTED = ("conv", "linear")
# Lightning's names, and the index of the measurement of activation memory (`kept_bytes`) for each.
PRECISIONS = {"32-true": 0, "bf16-mixed": 1, "16-mixed": 1}
# More than one for batch normalisation, and odd so that no other first dimension equals it.
BATCH = 5


@dataclass(frozen=True)
class Layer:
    """The figures of one layer, for one image.

    Args:
        name: Path in the network, such as ``conv2.0.residual.3``.
        kind: ``conv``, ``linear``, ``norm`` (batch), ``lrn`` or ``pool``.
        stage: The child of the network that the layer belongs to.
        output_shape: Channels, height and width, or only features; without the batch.
        parameters: Number of trainable weights and biases.
        macs: Multiply-accumulates of convolutions and linear layers; 0 for other layers.
        kernel: Kernel of convolutions and pools as text: ``3x3, stride 2, 32 groups`` or ``global``.
        receptive_field: Size in pixels of the part of the image that an output value depends on: the longer
            side of the rectangle, on the path with the largest one, without regard to the edges of the image.
            ``None`` for layers that always see the whole image.
        stride: Distance of neighbouring output values in pixels of the image, ``None`` as above.
        running_statistics: Number of running means and variances of batch normalisation.
        kept_bytes: Bytes per image that are kept for the backward pass, in float32 and under autocast to 16
            bits. Operations up to the next layer (ReLU, concatenation) are included. See `activation_bytes`.
    """

    name: str
    kind: str
    stage: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    kernel: str = ""
    receptive_field: int | None = None
    stride: int | None = None
    running_statistics: int = 0
    kept_bytes: Pair = (0, 0)

    @property
    def units(self) -> int:
        """Number of output values of a convolution or linear layer; 0 for other layers."""
        return math.prod(self.output_shape) if self.kind in WEIGHTED else 0

    def activation_bytes(self, batch_size: int = 1, precision: str = "32-true") -> int:
        """Return the bytes that are kept for the backward pass; see `Ledger.activation_bytes`."""
        return _activation_bytes((self,), batch_size, precision)


@dataclass(frozen=True)
class Stage:
    """The figures of one stage, for one image: its output and the sums over its layers, as in `Layer`."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    units: int = 0
    receptive_field: int | None = None
    stride: int | None = None
    kept_bytes: Pair = (0, 0)

    def activation_bytes(self, batch_size: int = 1, precision: str = "32-true") -> int:
        """Return the bytes that are kept for the backward pass; see `Ledger.activation_bytes`."""
        return _activation_bytes((self,), batch_size, precision)


@dataclass(frozen=True)
class Ledger:
    """The figures of a network.

    Args:
        layers: The layers in the order of the forward pass, without auxiliary heads.
        stages: The stages, without auxiliary heads.
        auxiliary_layers: The layers that run in training mode only.
        weight_copy_bytes: Bytes of the 16-bit copies of weights that autocast keeps for the backward pass.
    """

    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    auxiliary_layers: tuple[Layer, ...]
    weight_copy_bytes: int = 0

    @property
    def parameters(self) -> int:
        """Number of trainable weights and biases, without auxiliary heads."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def parameters_with_auxiliary(self) -> int:
        """Number of trainable weights and biases, with auxiliary heads."""
        return self.parameters + sum(layer.parameters for layer in self.auxiliary_layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a forward pass of one image, without auxiliary heads."""
        return sum(layer.macs for layer in self.layers)

    @property
    def units(self) -> int:
        """Output values of convolutions and linear layers for one image, without auxiliary heads."""
        return sum(layer.units for layer in self.layers)

    @property
    def running_statistics(self) -> int:
        """Number of running means and variances, without auxiliary heads."""
        return sum(layer.running_statistics for layer in self.layers)

    @property
    def running_statistics_with_auxiliary(self) -> int:
        """Number of running means and variances, with auxiliary heads."""
        return self.running_statistics + sum(layer.running_statistics for layer in self.auxiliary_layers)

    def activation_bytes(self, batch_size: int = 1, precision: str = "32-true") -> int:
        """Return the bytes that autograd keeps from the forward pass in training, with auxiliary heads.

        Tensors that several operations need are counted once. Parameters, the images themselves and tensors
        that do not grow with the batch (statistics of batch normalisation, copies of weights) are not
        counted.

        Args:
            batch_size: Number of images per step.
            precision: ``32-true``, or autocast to 16 bits: ``bf16-mixed`` or ``16-mixed``.

        Raises:
            InvalidValue: The precision is unknown, or the batch size is below 1.
        """
        return _activation_bytes((*self.layers, *self.auxiliary_layers), batch_size, precision)


def _activation_bytes(parts: Iterable[Layer | Stage], batch_size: int, precision: str) -> int:
    if precision not in PRECISIONS:
        raise InvalidValue(InvalidChoice.PRECISION, precision=precision, allowed=", ".join(PRECISIONS))
    if batch_size < 1:
        raise InvalidValue(InvalidChoice.BATCH_SIZE, batch_size=batch_size)
    return batch_size * sum(part.kept_bytes[PRECISIONS[precision]] for part in parts)


def measure(
    key: str, num_classes: int | None = None, image_size: int | None = None, **options: str
) -> Ledger:
    """Measure an architecture of the registry. Results are cached.

    Args:
        key: A key of the registry.
        num_classes: Number of classes; the paper's if ``None``.
        image_size: Height and width of the square input in pixels; the paper's if ``None``.
        **options: Options of the architecture.

    Raises:
        InvalidValue: The key or an option is unknown, or the image is too small.
        TypeError: The network has something that cannot be counted; see `measure_network`.
    """
    architecture = registry.get(key)
    return _measure(
        key,
        architecture.num_classes if num_classes is None else num_classes,
        architecture.input_size if image_size is None else image_size,
        **architecture.check_options(options),
    )


@lru_cache(maxsize=256)
def _measure(key: str, num_classes: int, image_size: int, **options: str) -> Ledger:
    with without_numbers():
        network = registry.get(key).build(num_classes, image_size, **options)
    return measure_network(network, image_size)


def measure_network(network: nn.Module, image_size: int) -> Ledger:
    """Measure a network on the meta device.

    Args:
        network: A module that maps N x 3 x S x S to logits or, in training mode, to a tuple of logits with
            those of auxiliary heads. Its children, in order, are its stages. It is left in evaluation mode.
        image_size: S, in pixels.

    Raises:
        TypeError: It has parameters in a layer of an unknown kind, a layer with parameters that runs twice,
            or an operation that resizes feature maps and whose receptive field is not known.
    """
    # The memory format of training; it determines where maps are copied before they are flattened.
    network = network.to(memory_format=torch.channels_last)
    images = torch.empty(BATCH, 3, image_size, image_size, device="meta")
    images = images.to(memory_format=torch.channels_last)
    full, half = trace_once(network.train(), images), trace_once(network, images, autocast=True)
    # Only networks with auxiliary heads run differently in evaluation mode.
    evaluation = trace_once(network.eval(), images) if network.auxiliary_weights else full
    modules = dict(network.named_modules())
    _check_complete(modules, full.outputs)

    def describe(name: str) -> Layer:
        module, shape = modules[name], full.outputs[name]
        receptive_field, stride = longer_sides(full.fields[name])
        return Layer(
            name=name,
            kind=kind_of(module),
            stage=name.split(".")[0],
            output_shape=shape,
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            macs=_count_macs(module, shape),
            kernel=describe_kernel(module),
            receptive_field=receptive_field,
            stride=stride,
            running_statistics=_count_statistics(module),
            kept_bytes=(full.kept_bytes[name], half.kept_bytes[name]),
        )

    def add_up(name: str) -> Stage:
        inside = [layer for layer in layers if layer.stage == name]
        receptive_field, stride = longer_sides(full.fields[name])
        kept_bytes = [layer.kept_bytes for layer in inside]
        return Stage(
            name=name,
            output_shape=evaluation.stages[name],
            parameters=sum(layer.parameters for layer in inside),
            macs=sum(layer.macs for layer in inside),
            units=sum(layer.units for layer in inside),
            receptive_field=receptive_field,
            stride=stride,
            kept_bytes=(sum(one for one, _ in kept_bytes), sum(other for _, other in kept_bytes)),
        )

    layers = tuple(map(describe, evaluation.outputs))
    auxiliary = tuple(describe(name) for name in full.outputs if name not in evaluation.outputs)
    return Ledger(layers, tuple(map(add_up, evaluation.stages)), auxiliary, half.weight_copy_bytes)


def describe_kernel(module: nn.Module) -> str:
    """Describe a kernel: ``3x3``, ``11x11, stride 4``, ``3x3, 2 groups``, ``global``."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return "global" if as_pair(module.output_size) == (1, 1) else f"to {_text(module.output_size)}"
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return ""
    parts = [_text(module.kernel_size)]
    for name in ("stride", "dilation"):
        rows, columns = as_pair(getattr(module, name, 1))
        if (rows, columns) != (1, 1):
            parts.append(f"{name} {rows}" if rows == columns else f"{name} {rows}x{columns}")
    if getattr(module, "groups", 1) > 1:
        parts.append(f"{module.groups} groups")
    return ", ".join(parts)


def _count_macs(module: nn.Module, output_shape: tuple[int, ...]) -> int:
    if isinstance(module, nn.Conv2d | nn.Linear):
        return module.weight[0].numel() * math.prod(output_shape)
    return 0


def _count_statistics(module: nn.Module) -> int:
    if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
        return 2 * module.num_features
    return 0


def _check_complete(modules: Mapping[str, nn.Module], counted: Iterable[str]) -> None:
    """Check that each parameter belongs to exactly one of the counted layers.

    Raises:
        TypeError: A parameter belongs to none or to several of them.
    """
    times = Counter(id(parameter) for name in counted for parameter in modules[name].parameters())
    for name, module in modules.items():
        for parameter in module.parameters(recurse=False):
            if times[id(parameter)] != 1:
                known = ", ".join(kind.__name__ for kind in KINDS)
                raise TypeError(
                    f"Parameters of {name or 'the network'}, a {type(module).__name__}, are counted "
                    f"{times[id(parameter)]} times. The ledger supports: {known}."
                )


def _text(value: Any) -> str:
    rows, columns = as_pair(value)
    return f"{rows}x{columns}"
