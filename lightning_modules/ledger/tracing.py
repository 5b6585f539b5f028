"""Tracing of a network's forward pass on PyTorch's meta device, whose tensors have shapes but no numbers.

The trace has the layers that ran and the shapes of their outputs, their receptive fields, and the tensors
that autograd keeps for the backward pass.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from lightning_modules.networks.local_response_norm import LocalResponseNorm

KINDS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.Linear: "linear",
    nn.BatchNorm2d: "norm",
    LocalResponseNorm: "lrn",
    nn.MaxPool2d: "pool",
    nn.AvgPool2d: "pool",
    nn.AdaptiveAvgPool2d: "pool",
}

aten = torch.ops.aten
# Operations that may change height and width, and whose receptive field is known (see `_follow`).
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


def kind_of(module: nn.Module) -> str:
    """Return the kind of a layer, one of the values of `KINDS`; empty for other modules."""
    return next((kind for known, kind in KINDS.items() if isinstance(module, known)), "")


@dataclass(frozen=True)
class Field:
    """The receptive field of a tensor's values and the stride between them, in pixels (rows, columns)."""

    size: Pair
    stride: Pair

    def slide(self, kernel: Any, stride: Any = 1, dilation: Any = 1) -> "Field":
        """Return the field of the output of a convolution or pool of this tensor."""
        spans = [step * (length - 1) for length, step in zip(as_pair(kernel), as_pair(dilation), strict=True)]
        rows, columns = (
            size + step * span for size, step, span in zip(self.size, self.stride, spans, strict=True)
        )
        (down, across), (times_down, times_across) = self.stride, as_pair(stride)
        return Field((rows, columns), (down * times_down, across * times_across))


def longer_sides(seen: Field | None) -> tuple[int | None, int | None]:
    """Return the larger of the two sizes and of the two strides, None for the whole image."""
    return (max(seen.size), max(seen.stride)) if seen else (None, None)


@dataclass
class Trace:
    """The result of one forward pass on the meta device.

    Args:
        outputs: Output shapes of the layers without the batch, in the order in which the layers ran.
        stages: Output shapes of the network's children.
        fields: Receptive fields of both; ``None`` for the whole image.
        kept_bytes: Bytes that each layer keeps for the backward pass, for one image.
        weight_copy_bytes: Bytes of autocast's copies of parameters.
    """

    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    stages: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fields: dict[str, Field | None] = field(default_factory=dict)
    kept_bytes: Counter[str] = field(default_factory=Counter)
    weight_copy_bytes: int = 0


def trace_once(network: nn.Module, images: Tensor, autocast: bool = False) -> Trace:
    """Run a network once on the meta device, in its current mode.

    Raises:
        TypeError: A layer with parameters runs twice, or an operation resizes feature maps and its receptive
            field is not known.
    """
    trace = Trace()
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
                raise TypeError(f"{name} runs more than once, which the ledger does not support.")
            shapes[name] = tuple(output.shape[1:])
            trace.fields[name] = watch.fields[_view(output)]

        return hook

    def keep(tensor: Tensor) -> Tensor:
        # The reference ensures that no other storage gets the same number before the sums are computed.
        kept[_storage(tensor)] = tensor
        return tensor

    with ExitStack() as stack:
        for name, module in network.named_modules():
            if kind_of(module):
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
            # Padding may come before the first layer.
            layer = watch.makers[storage] or next(iter(trace.outputs), "")
            trace.kept_bytes[layer] += size // len(images)
    return trace


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that records for each result its receptive field and the layer that computed it."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layer = ""
        self.makers: dict[int, str] = {}
        # For tensors that depend on the image; weights have no entry. None means the whole image.
        self.fields: dict[Any, Field | None] = {_view(images): Field((1, 1), (1, 1))}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and record its results."""
        given = _tensors(args)
        inputs = [tensor for tensor in given if _view(tensor) in self.fields]
        before = [self.fields[_view(tensor)] for tensor in inputs]
        result = _run(func, args, kwargs or {})
        made = _tensors(result)
        resized = _map_sizes(made) - _map_sizes(inputs) if _map_sizes(inputs) else None
        if resized and func.overloadpacket not in RESIZING:
            raise TypeError(
                f"{func} resizes a feature map, and the ledger does not know its receptive field."
            )
        after = _follow(func, args, before)
        known = {_storage(tensor) for tensor in given}
        for tensor in made:
            if _storage(tensor) not in known:
                self.makers[_storage(tensor)] = self.layer
            if inputs:
                self.fields[_view(tensor)] = after
            else:  # an earlier tensor may have had the same storage
                self.fields.pop(_view(tensor), None)
        return result


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation on the meta device, two of them as on other devices."""
    match func.overloadpacket:
        case aten.native_batch_norm:
            # PyTorch would run some twenty operations for this, most of the time of a deep network.
            mean = args[0].new_empty(args[0].shape[1], dtype=torch.float32)
            return torch.empty_like(args[0]), mean, torch.empty_like(mean)
        case aten.convolution:
            # Channels are last as in the weights, which the meta device ignores.
            return torch.empty_like(func(*args, **kwargs), memory_format=torch.channels_last)
    return func(*args, **kwargs)


def _follow(func: Any, args: tuple[Any, ...], fields: list[Field | None]) -> Field | None:
    """Return the receptive field of an operation's result, given those of its inputs."""
    narrow = [one for one in fields if one is not None]
    if not narrow or len(narrow) < len(fields):
        return None
    seen = Field(_furthest(one.size for one in narrow), _furthest(one.stride for one in narrow))
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
    """Return the largest window and the stride, rounded down, of an adaptive pool along one side."""
    edges = ((part * length // parts, -(-(part + 1) * length // parts)) for part in range(parts))
    return max(end - start for start, end in edges), length // parts


def _map_sizes(tensors: Iterable[Tensor]) -> set[torch.Size]:
    """Return the heights and widths of tensors of shape N x C x H x W."""
    return {tensor.shape[2:] for tensor in tensors if tensor.ndim == 4}


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors among the arguments or results of an operation, also those in lists."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, list | tuple) else []


def _furthest(pairs: Iterable[Pair]) -> Pair:
    rows, columns = zip(*pairs, strict=True)
    return max(rows), max(columns)


class _Autocast(TorchFunctionMode):
    """A mode that works as autocast does, which does not support the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function, convolutions and linear layers in 16 bits."""
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
    """Identify the data of a tensor, also where autograd wraps it in another object."""
    return _storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride()


def as_pair(value: Any) -> Pair:
    """Return a value for rows and columns; one number stands for both."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values[0], values[-1]
