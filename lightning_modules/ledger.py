"""Parameters, multiply-accumulates, receptive fields and activation memory of a network, without running it.

Everything is measured on torch's meta device, which holds shapes but no numbers: the network runs there
once in training, once in training under autocast and, if it has auxiliary heads, once in evaluation.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from lightning_modules import registry
from lightning_modules.initialisation import without_numbers
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
WEIGHTED = ("conv", "linear")
# Lightning's names, and which of the two measurements of activation memory counts for each.
PRECISIONS = {"32-true": 0, "bf16-mixed": 1, "16-mixed": 1}
# Batch normalisation needs more than one; odd, so that no other first dimension passes for the batch.
BATCH = 5

aten = torch.ops.aten
# Operations that may change height and width, with receptive fields known here (see `_follow`).
RESIZING = (
    aten.convolution,
    aten.max_pool2d_with_indices,
    aten.avg_pool2d,
    aten._adaptive_avg_pool2d,
    aten.slice,
    aten.mean,
    aten.constant_pad_nd,
)

Pair = tuple[int, int]


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
    full, half = _trace(network.train(), images), _trace(network, images, autocast=True)
    # Without heads that rest, evaluation would show nothing else.
    evaluation = _trace(network.eval(), images) if network.auxiliary_weights else full
    modules = dict(network.named_modules())
    _check_complete(modules, full.outputs)

    def describe(name: str) -> Layer:
        module, shape = modules[name], full.outputs[name]
        receptive_field, stride = _longer_sides(full.fields[name])
        return Layer(
            name=name,
            kind=_kind(module),
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
        receptive_field, stride = _longer_sides(full.fields[name])
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
        return "global" if _pair(module.output_size) == (1, 1) else f"to {_text(module.output_size)}"
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return ""
    parts = [_text(module.kernel_size)]
    if _pair(module.stride) != (1, 1):
        rows, columns = _pair(module.stride)
        parts.append(f"stride {rows}" if rows == columns else f"stride {rows}x{columns}")
    if _pair(getattr(module, "dilation", 1)) != (1, 1):
        rows, columns = _pair(module.dilation)
        parts.append(f"dilation {rows}" if rows == columns else f"dilation {rows}x{columns}")
    if getattr(module, "groups", 1) > 1:
        parts.append(f"{module.groups} groups")
    return ", ".join(parts)


def _kind(module: nn.Module) -> str:
    return next((kind for known, kind in KINDS.items() if isinstance(module, known)), "")


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


@dataclass(frozen=True)
class _Field:
    """Receptive field of a tensor's values and stride between them, in pixels down and across."""

    size: Pair
    stride: Pair

    def slide(self, kernel: Any, stride: Any = 1, dilation: Any = 1) -> "_Field":
        """Returns those of what a convolution or pool makes of the tensor."""
        spans = [step * (length - 1) for length, step in zip(_pair(kernel), _pair(dilation), strict=True)]
        rows, columns = (
            size + step * span for size, step, span in zip(self.size, self.stride, spans, strict=True)
        )
        (down, across), (times_down, times_across) = self.stride, _pair(stride)
        return _Field((rows, columns), (down * times_down, across * times_across))


def _longer_sides(seen: _Field | None) -> tuple[int | None, int | None]:
    return (max(seen.size), max(seen.stride)) if seen else (None, None)


@dataclass
class _Trace:
    """What one forward pass on the meta device showed.

    Args:
        outputs: Shapes of the layers' outputs without the batch, in the order in which they ran.
        stages: The same of the network's children.
        fields: Of the outputs of both; ``None`` for the whole image.
        kept_bytes: What each layer leaves for the backward pass, for one image.
        weight_copy_bytes: What autocast's copies of parameters add.
    """

    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    stages: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fields: dict[str, _Field | None] = field(default_factory=dict)
    kept_bytes: Counter[str] = field(default_factory=Counter)
    weight_copy_bytes: int = 0


def _trace(network: nn.Module, images: Tensor, autocast: bool = False) -> _Trace:
    """Runs a network once on the meta device, in the mode it is in."""
    trace = _Trace()
    watch = _Watch(images)
    cast = _Autocast()
    kept: dict[int, Tensor] = {}

    def enter(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            watch.layer = name

        return hook

    def leave(name: str, shapes: dict[str, tuple[int, ...]]) -> Callable[..., None]:
        def hook(module: nn.Module, _: Any, output: Tensor) -> None:
            if name in shapes and next(module.parameters(), None) is not None:
                raise TypeError(f"{name} runs more than once; the ledger would count its work once.")
            shapes[name] = tuple(output.shape[1:])
            trace.fields[name] = watch.fields[_view(output)]

        return hook

    def keep(tensor: Tensor) -> Tensor:
        # Held here as well, so that no other storage gets the same number before the sums are made.
        kept[_storage(tensor)] = tensor
        return tensor

    with ExitStack() as stack:
        for name, module in network.named_modules():
            if _kind(module):
                stack.enter_context(module.register_forward_pre_hook(enter(name)))
                stack.enter_context(module.register_forward_hook(leave(name, trace.outputs)))
        for name, stage in network.named_children():
            stack.enter_context(stage.register_forward_hook(leave(name, trace.stages)))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor))
        if autocast:
            stack.enter_context(cast)
        stack.enter_context(watch)
        network(images)

    given = {_storage(tensor) for tensor in (images, *network.parameters(), *network.buffers())}
    for storage, tensor in kept.items():
        size = tensor.untyped_storage().nbytes()
        if storage in cast.copies:
            trace.weight_copy_bytes += size
        elif storage not in given and tensor.shape[:1] == images.shape[:1]:
            maker = watch.makers[storage] or next(
                iter(trace.outputs), ""
            )  # padding may come before all layers
            trace.kept_bytes[maker] += size // len(images)
    return trace


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every operation: what of the image its result depends on, and in which layer it was made."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layer = ""
        self.makers: dict[int, str] = {}
        # Of tensors that depend on the image: weights have none. Of the whole image: None.
        self.fields: dict[Any, _Field | None] = {_view(images): _Field((1, 1), (1, 1))}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and notes what comes out."""
        given = _tensors(args)
        inputs = [tensor for tensor in given if _view(tensor) in self.fields]
        before = [self.fields[_view(tensor)] for tensor in inputs]
        result = _run(func, args, kwargs or {})
        made = _tensors(result)
        resized = _map_sizes(made) - _map_sizes(inputs) if _map_sizes(inputs) else None
        if resized and func.overloadpacket not in RESIZING:
            raise TypeError(f"{func} resizes a map; the ledger does not know what that does to what is seen.")
        after = _follow(func, args, before)
        known = {_storage(tensor) for tensor in given}
        for tensor in made:
            if _storage(tensor) not in known:
                self.makers[_storage(tensor)] = self.layer
            if inputs:
                self.fields[_view(tensor)] = after
            else:  # forget an earlier tensor in the same place
                self.fields.pop(_view(tensor), None)
        return result


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs an operation on the meta device, two of them the way of devices that compute."""
    match func.overloadpacket:
        case aten.native_batch_norm:
            # Torch would run some twenty operations to find this out, most of the time of a deep network.
            mean = args[0].new_empty(args[0].shape[1], dtype=torch.float32)
            return torch.empty_like(args[0]), mean, torch.empty_like(mean)
        case aten.convolution:
            # Channels come last, as in the weights; the meta device does not know.
            return torch.empty_like(func(*args, **kwargs), memory_format=torch.channels_last)
    return func(*args, **kwargs)


def _follow(func: Any, args: tuple[Any, ...], fields: list[_Field | None]) -> _Field | None:
    """Returns the receptive field of an operation's result from those of what goes in."""
    narrow = [one for one in fields if one is not None]
    if not narrow or len(narrow) < len(fields):
        return None
    seen = _Field(_furthest(one.size for one in narrow), _furthest(one.stride for one in narrow))
    match func.overloadpacket:
        case aten.convolution:
            return seen.slide(args[1].shape[2:], args[3], args[5])
        case aten.max_pool2d_with_indices:
            return seen.slide(args[1], args[2], args[4] if len(args) > 4 else 1)
        case aten.avg_pool2d:
            return seen.slide(args[1], args[2])
        case aten.slice if len(args) > 4 and args[1] >= 2:
            return seen.slide(1, (args[4], 1) if args[1] == 2 else (1, args[4]))
        case aten._adaptive_avg_pool2d if max(args[1]) > 1:
            steps = zip(args[0].shape[2:], args[1], strict=True)
            (rows, down), (columns, across) = (_adapt(length, parts) for length, parts in steps)
            return seen.slide((rows, columns), (down, across))
        case aten.mean | aten.addmm | aten.mm | aten._adaptive_avg_pool2d:
            return None
    return seen


def _adapt(length: int, parts: int) -> Pair:
    """Returns the largest window and the step, rounded down, of an adaptive pool along one side of a map."""
    edges = ((part * length // parts, -(-(part + 1) * length // parts)) for part in range(parts))
    return max(end - start for start, end in edges), length // parts


def _map_sizes(tensors: Iterable[Tensor]) -> set[torch.Size]:
    """Returns the heights and widths among N x C x H x W."""
    return {tensor.shape[2:] for tensor in tensors if tensor.ndim == 4}


def _tensors(value: Any) -> list[Tensor]:
    """Returns the tensors among the arguments or results of an operation, those in lists included."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, list | tuple) else []


def _furthest(pairs: Iterable[Pair]) -> Pair:
    rows, columns = zip(*pairs, strict=True)
    return max(rows), max(columns)


class _Autocast(TorchFunctionMode):
    """Does what autocast does to layers; torch's own leaves the meta device out."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the function, convolutions and products in 16 bits."""
        if func in (functional.conv2d, functional.linear):
            args, kwargs = tree_map_only(Tensor, self._shorten, (args, kwargs))
        return func(*args, **(kwargs or {}))

    def _shorten(self, tensor: Tensor) -> Tensor:
        short = tensor.to(torch.bfloat16)
        if isinstance(tensor, nn.Parameter):
            self.copies[_storage(short)] = short
        return short


def _storage(tensor: Tensor) -> int:
    number: int = tensor.untyped_storage()._cdata
    return number


def _view(tensor: Tensor) -> Any:
    """Names what a tensor shows, which stays the same where autograd wraps it anew."""
    return _storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride()


def _pair(value: Any) -> Pair:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values[0], values[-1]


def _text(value: Any) -> str:
    rows, columns = _pair(value)
    return f"{rows}x{columns}"
