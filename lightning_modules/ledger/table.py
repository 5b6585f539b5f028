"""Parameters, multiply-accumulates, receptive fields and activation memory of a network, without running it.

Everything is measured on torch's meta device, which holds shapes but no numbers: the network runs there
once in training, once in training under autocast and, if it has auxiliary heads, once in evaluation.
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

WEIGHTED = ("conv", "linear")
# Lightning's names, and which of the two measurements of activation memory counts for each.
PRECISIONS = {"32-true": 0, "bf16-mixed": 1, "16-mixed": 1}
# Batch normalisation needs more than one; odd, so that no other first dimension passes for the batch.
BATCH = 5


@dataclass(frozen=True)
class Layer:
    """One layer, for one image.

    Args:
        name: Its path in the network, such as ``conv2.0.residual.3``.
        kind: ``conv``, ``linear``, ``norm`` (batch), ``lrn`` or ``pool``.
        stage: The child of the network it belongs to.
        output_shape: Without the batch: channels, height, width, or features alone.
        parameters: Trainable weights and biases.
        macs: Multiply-accumulates of convolutions and linear layers; 0 for all others.
        kernel: Of convolutions and pools, for people: ``3x3, stride 2, 32 groups``; ``global``, or nothing.
        receptive_field: Pixels of the image that a value of the output can depend on, along the longer side
            of the rectangle; several paths count as the one that sees furthest, and the image is taken to
            go on beyond its edges. ``None`` once the whole image is seen by design.
        stride: Pixels of the image between neighbours of the output; ``None`` with the receptive field.
        running_statistics: Means and variances that batch normalisation keeps besides its parameters.
        kept_bytes: Made here or by what follows up to the next layer (ReLU, concatenation) and kept for the
            backward pass: bytes an image in float32 and under autocast to 16 bits; see `activation_bytes`.
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
        """Outputs of a convolution or linear layer; 0 for all others."""
        return math.prod(self.output_shape) if self.kind in WEIGHTED else 0

    def activation_bytes(self, batch_size: int = 1, precision: str = "32-true") -> int:
        """Returns the bytes that wait for the backward pass; see `Ledger.activation_bytes`."""
        return _activation_bytes((self,), batch_size, precision)


@dataclass(frozen=True)
class Stage:
    """One stage, for one image: what it puts out and the sums over its layers, as `Layer` has them."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    units: int = 0
    receptive_field: int | None = None
    stride: int | None = None
    kept_bytes: Pair = (0, 0)

    def activation_bytes(self, batch_size: int = 1, precision: str = "32-true") -> int:
        """Returns the bytes that wait for the backward pass; see `Ledger.activation_bytes`."""
        return _activation_bytes((self,), batch_size, precision)


@dataclass(frozen=True)
class Ledger:
    """What a network costs.

    Args:
        layers: In the order of the forward pass, auxiliary heads left out.
        stages: The same, summed up.
        auxiliary_layers: Those that run in training only.
        weight_copy_bytes: Copies of the weights in 16 bits that autocast keeps for the backward pass.
    """

    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    auxiliary_layers: tuple[Layer, ...]
    weight_copy_bytes: int = 0

    @property
    def parameters(self) -> int:
        """Trainable weights and biases without auxiliary heads."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def parameters_with_auxiliary(self) -> int:
        """Trainable weights and biases of all that trains."""
        return self.parameters + sum(layer.parameters for layer in self.auxiliary_layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass of one image, auxiliary heads left out."""
        return sum(layer.macs for layer in self.layers)

    @property
    def units(self) -> int:
        """Outputs of convolutions and linear layers for one image, auxiliary heads left out."""
        return sum(layer.units for layer in self.layers)

    @property
    def running_statistics(self) -> int:
        """Means and variances of batch normalisation, auxiliary heads left out."""
        return sum(layer.running_statistics for layer in self.layers)

    @property
    def running_statistics_with_auxiliary(self) -> int:
        """Means and variances of all batch normalisation."""
        return self.running_statistics + sum(layer.running_statistics for layer in self.auxiliary_layers)

    def activation_bytes(self, batch_size: int = 1, precision: str = "32-true") -> int:
        """Returns the bytes that autograd keeps from the forward pass in training, auxiliary heads included.

        Values that several operations need count once. Parameters, the images themselves and what does not
        grow with the batch (the statistics of batch normalisation, copies of weights) do not count.

        Args:
            batch_size: Images a step.
            precision: ``32-true``, or autocast to 16 bits: ``bf16-mixed`` or ``16-mixed``.

        Raises:
            ValueError: Another precision, or a batch below 1.
        """
        return _activation_bytes((*self.layers, *self.auxiliary_layers), batch_size, precision)


def _activation_bytes(parts: Iterable[Layer | Stage], batch_size: int, precision: str) -> int:
    if precision not in PRECISIONS:
        raise ValueError(f"There is no precision {precision!r}; choose one of: {', '.join(PRECISIONS)}.")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 or more.")
    return batch_size * sum(part.kept_bytes[PRECISIONS[precision]] for part in parts)


def measure(
    key: str, num_classes: int | None = None, image_size: int | None = None, **options: str
) -> Ledger:
    """Measures an architecture of the registry; an answer once given is kept.

    Args:
        key: A key of the registry.
        num_classes: Width of the classifier; the paper's if ``None``.
        image_size: Height and width of the square input in pixels; the paper's if ``None``.
        **options: Choices the architecture leaves open.

    Raises:
        ValueError: The key or an option is unknown, or the image too small.
        TypeError: The network holds something that cannot be counted; see `measure_network`.
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
    """Measures a network on the meta device whose children, in order, are its stages.

    Args:
        network: Maps N x 3 x S x S to logits, in training perhaps to a tuple with those of auxiliary heads.
            It is left in evaluation mode.
        image_size: S, in pixels.

    Raises:
        TypeError: It has parameters in a layer of a kind that is not counted here, a layer with parameters
            that runs twice, or operations that resize maps in ways whose receptive field is not known here.
    """
    # The layout of training: it decides where a map is copied before it is flattened.
    network = network.to(memory_format=torch.channels_last)
    images = torch.empty(BATCH, 3, image_size, image_size, device="meta")
    images = images.to(memory_format=torch.channels_last)
    full, half = trace_once(network.train(), images), trace_once(network, images, autocast=True)
    # Without heads that rest, evaluation would show nothing else.
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
    """Says what slides over the map: ``3x3``, ``11x11, stride 4``, ``3x3, 2 groups``, ``global``."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return "global" if as_pair(module.output_size) == (1, 1) else f"to {_text(module.output_size)}"
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return ""
    parts = [_text(module.kernel_size)]
    if as_pair(module.stride) != (1, 1):
        rows, columns = as_pair(module.stride)
        parts.append(f"stride {rows}" if rows == columns else f"stride {rows}x{columns}")
    if as_pair(getattr(module, "dilation", 1)) != (1, 1):
        rows, columns = as_pair(module.dilation)
        parts.append(f"dilation {rows}" if rows == columns else f"dilation {rows}x{columns}")
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
    """Makes sure that each parameter belongs to one of the layers that ran.

    Raises:
        TypeError: One does not, or to two of them; the message says where it is.
    """
    times = Counter(id(parameter) for name in counted for parameter in modules[name].parameters())
    for name, module in modules.items():
        for parameter in module.parameters(recurse=False):
            if times[id(parameter)] != 1:
                known = ", ".join(kind.__name__ for kind in KINDS)
                raise TypeError(
                    f"Parameters of {name or 'the network'}, a {type(module).__name__}, are counted "
                    f"{times[id(parameter)]} times. The ledger knows: {known}."
                )


def _text(value: Any) -> str:
    rows, columns = as_pair(value)
    return f"{rows}x{columns}"
