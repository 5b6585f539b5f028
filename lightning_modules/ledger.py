"""Parameters and multiply-accumulates of a network, layer by layer, without running it."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from lightning_modules import registry
from lightning_modules.normalization import LocalResponseNorm

KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.Linear: "linear",
    nn.BatchNorm2d: "norm",
    LocalResponseNorm: "lrn",
    nn.MaxPool2d: "pool",
    nn.AvgPool2d: "pool",
    nn.AdaptiveAvgPool2d: "pool",
}


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
    """

    name: str
    kind: str
    stage: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Stage:
    """One stage, for one image: the shape it puts out and the sums over its layers."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Ledger:
    """What a network costs.

    Args:
        layers: In the order of the forward pass, auxiliary heads left out.
        stages: The same, summed up.
        auxiliary_layers: Those that run in training only.
    """

    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    auxiliary_layers: tuple[Layer, ...]

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


@lru_cache(maxsize=256)
def measure(
    key: str, num_classes: int | None = None, image_size: int | None = None, **options: str
) -> Ledger:
    """Counts an architecture on torch's meta device, which holds shapes but no numbers.

    Args:
        key: A key of the registry.
        num_classes: Width of the classifier; the paper's if ``None``.
        image_size: Height and width of the square input in pixels; the paper's if ``None``.
        **options: Choices the architecture leaves open.

    Raises:
        ValueError: The key or an option is unknown, or the image too small.
    """
    architecture = registry.get(key)
    size = architecture.input_size if image_size is None else image_size
    with torch.device("meta"):
        network = architecture.build(num_classes, size, **options)
        # Two images, because batch normalisation refuses to train on a single value a channel.
        images = torch.empty(2, 3, size, size)
    every_layer, _ = _trace(network.train(), images)
    layers, shapes = _trace(network.eval(), images)
    main = {layer.name for layer in layers}
    stages = (
        Stage(
            name,
            shape,
            parameters=sum(layer.parameters for layer in layers if layer.stage == name),
            macs=sum(layer.macs for layer in layers if layer.stage == name),
        )
        for name, shape in shapes.items()
    )
    auxiliary = tuple(layer for layer in every_layer if layer.name not in main)
    return Ledger(tuple(layers), tuple(stages), auxiliary)


@torch.no_grad()
def _trace(network: nn.Module, images: Tensor) -> tuple[list[Layer], dict[str, tuple[int, ...]]]:
    """Runs the network once; returns its layers in the order they ran and each stage's output shape."""
    layers: list[Layer] = []
    shapes: dict[str, tuple[int, ...]] = {}

    def note_layer(name: str, module: nn.Module, output: Tensor) -> None:
        shape = tuple(output.shape[1:])
        parameters = sum(parameter.numel() for parameter in module.parameters())
        layers.append(
            Layer(
                name, KINDS[type(module)], name.split(".")[0], shape, parameters, _count_macs(module, shape)
            )
        )

    def note_stage(name: str, output: Tensor) -> None:
        shapes[name] = tuple(output.shape[1:])

    handles = [
        module.register_forward_hook(lambda module, _, output, name=name: note_layer(name, module, output))
        for name, module in network.named_modules()
        if type(module) in KINDS
    ]
    handles += [
        stage.register_forward_hook(lambda _, __, output, name=name: note_stage(name, output))
        for name, stage in network.named_children()
    ]
    network(images)
    for handle in handles:
        handle.remove()
    return layers, shapes


def _count_macs(module: nn.Module, output_shape: tuple[int, ...]) -> int:
    if isinstance(module, nn.Conv2d | nn.Linear):
        return module.weight[0].numel() * math.prod(output_shape)
    return 0
