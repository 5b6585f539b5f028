"""One run of a network on torch's meta device, which holds shapes but no numbers, watched from the outside.

Seen are which layers ran and what they put out, how far into the image each value looks, and what autograd
keeps for the backward pass.
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


def kind_of(module: nn.Module) -> str:
    """Returns what sort of layer a module is, one of `KINDS`; empty for all others."""
    return next((kind for known, kind in KINDS.items() if isinstance(module, known)), "")


@dataclass(frozen=True)
class Field:
    """Receptive field of a tensor's values and stride between them, in pixels down and across."""

    size: Pair
    stride: Pair

    def slide(self, kernel: Any, stride: Any = 1, dilation: Any = 1) -> "Field":
        """Returns those of what a convolution or pool makes of the tensor."""
        spans = [step * (length - 1) for length, step in zip(as_pair(kernel), as_pair(dilation), strict=True)]
        rows, columns = (
            size + step * span for size, step, span in zip(self.size, self.stride, spans, strict=True)
        )
        (down, across), (times_down, times_across) = self.stride, as_pair(stride)
        return Field((rows, columns), (down * times_down, across * times_across))


def longer_sides(seen: Field | None) -> tuple[int | None, int | None]:
    """Returns the larger of the two sizes and of the two strides; None for the whole image."""
    return (max(seen.size), max(seen.stride)) if seen else (None, None)


@dataclass
class Trace:
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
    fields: dict[str, Field | None] = field(default_factory=dict)
    kept_bytes: Counter[str] = field(default_factory=Counter)
    weight_copy_bytes: int = 0


def trace_once(network: nn.Module, images: Tensor, autocast: bool = False) -> Trace:
    """Runs a network once on the meta device, in the mode it is in.

    Raises:
        TypeError: A layer with parameters runs twice, or an operation resizes maps in a way whose receptive
            field is not known here.
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
        self.fields: dict[Any, Field | None] = {_view(images): Field((1, 1), (1, 1))}

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


def _follow(func: Any, args: tuple[Any, ...], fields: list[Field | None]) -> Field | None:
    """Returns the receptive field of an operation's result from those of what goes in."""
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


def as_pair(value: Any) -> Pair:
    """Returns what holds down and across, where one number stands for both."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values[0], values[-1]
