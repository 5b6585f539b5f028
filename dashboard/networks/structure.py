"""What a network is made of: layers one after the other, branches that meet, blocks that repeat.

Found by following the data through the network with torch.fx, whatever its modules are called. Imports torch,
hence late.
"""

import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal

import torch
from torch import fx, nn

from dashboard.networks.parts import (
    TIMES,
    Box,
    DrawnStage,
    Parallel,
    Part,
    Repeated,
    Series,
    boxes,
    fold,
)
from lightning_modules.architecture import Architecture
from lightning_modules.initialisation import without_numbers
from lightning_modules.ledger.table import Ledger
from lightning_modules.ledger.tracing import KINDS

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


def read_structure(
    architecture: Architecture,
    ledger: Ledger,
    num_classes: int | None = None,
    image_size: int | None = None,
    **options: str,
) -> tuple[DrawnStage, ...]:
    """Find the parts of a network's stages; a network that cannot be followed has one box a stage.

    Args:
        architecture: the network.
        ledger: what was measured of it.
        num_classes: with which it was measured; the paper's if `None`.
        image_size: with which it was measured; the paper's if `None`.
        **options: what the paper leaves open.
    """
    with without_numbers():
        network = architecture.build(num_classes, image_size, **options).train()
    try:
        series, auxiliary = _Reader(network, ledger).read()
    except Exception:
        # What a network's own code raises when it is run without numbers can be anything.
        return tuple(
            DrawnStage(stage.name, stage.output_shape, (Repeated((_plain_box(ledger, stage.name),), 1),))
            for stage in ledger.stages
        )
    return tuple(_drawn_stages(ledger, series, auxiliary))


def _drawn_stages(
    ledger: Ledger, series: Series, auxiliary: Sequence[tuple[str, Series]]
) -> Iterator[DrawnStage]:
    by_stage = {name: tuple(parts) for name, parts in groupby(series, key=_stage_of)}
    heads = dict(auxiliary)
    waiting: list[DrawnStage] = []
    for stage in ledger.stages:
        drawn = DrawnStage(stage.name, stage.output_shape, fold(by_stage.get(stage.name, ())))
        if waiting and not _can_merge(waiting[-1], drawn):
            yield merge_stages(waiting)
            waiting = []
        waiting.append(drawn)
        if head := heads.get(stage.name):
            yield merge_stages(waiting)
            waiting = []
            yield DrawnStage(
                _stage_of(head[0]), (next(boxes(head[-1:])).channels,), fold(head), auxiliary=True
            )
    yield merge_stages(waiting)


def _can_merge(stage: DrawnStage, other: DrawnStage) -> bool:
    """Whether two stages are drawn as one repeated block; single layers keep their own names."""
    is_block = any(isinstance(part, Parallel) for repeated in stage.parts for part in repeated.parts)
    return is_block and (stage.parts, stage.output_shape) == (other.parts, other.output_shape)


def merge_stages(stages: Sequence[DrawnStage]) -> DrawnStage:
    """Draw stages that are alike once, under the names of all of them."""
    first, *others = stages
    if not others:
        return first
    name = f"{first.name}, {others[0].name}" if len(others) == 1 else f"{first.name} to {others[-1].name}"
    parts = tuple(part for repeated in first.parts for part in repeated.parts * repeated.count)
    return replace(first, name=name, parts=fold(parts * len(stages)))


class _Tracer(fx.Tracer):
    """Follows a network in its own thread alone, although torch.fx catches the calls of every thread."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        is_torchs = module.__module__.startswith("torch.nn") and not isinstance(module, nn.Sequential)
        return type(module) in KINDS or is_torchs


class _Reader:
    """Takes a graph of calls apart into series and branches."""

    def __init__(self, network: nn.Module, ledger: Ledger) -> None:
        self.modules = dict(network.named_modules())
        self.shapes = {layer.name: layer.output_shape for layer in (*ledger.layers, *ledger.auxiliary_layers)}
        self.nodes = list(_Tracer().trace(network).nodes)
        self.place = {node: place for place, node in enumerate(self.nodes)}
        self.dominator: dict[fx.Node, fx.Node] = {}
        for node in self.nodes:
            sources = _sources(node)
            if sources:
                self.dominator[node] = self._common(sources)

    def read(self) -> tuple[Series, list[tuple[str, Series]]]:
        """Return the parts from the images to the classes, and each auxiliary head after a stage."""
        first, last = self.nodes[0], self.nodes[-1]
        main, *heads = _sources(last)
        series = self._series(main, first)
        on_path = {first}
        node = main
        while node is not first:
            on_path.add(node)
            node = self.dominator[node]
        auxiliary = []
        for head in heads:
            root = head
            while root not in on_path:
                root = self.dominator[root]
            auxiliary.append((self._stage_before(root), self._series(head, root)))
        return series, auxiliary

    def _series(self, end: fx.Node, start: fx.Node) -> Series:
        parts: list[Part] = []
        while end is not start:
            before = self.dominator[end]
            sources = _sources(end)
            if len(sources) > 1:
                branches = tuple(self._series(source, before) for source in sources)
                if any(branches):
                    parts.append(Parallel(branches, _join_of(end)))
            elif end.op == "call_module":
                parts += self._boxes(str(end.target))
            end = before
        return tuple(_merge_norms(reversed(parts)))

    def _boxes(self, name: str) -> Iterator[Box]:
        module = self.modules[name]
        kind = KINDS.get(type(module), "other" if list(module.parameters()) else "")
        if kind:
            shape = self.shapes.get(name, (0,))
            yield describe(module, kind, shape, name.split(".")[0])

    def _stage_before(self, node: fx.Node) -> str:
        while not isinstance(node.target, str) or node.op != "call_module":
            node = max(_sources(node), key=self.place.__getitem__)
        return node.target.split(".")[0]

    def _common(self, nodes: Iterable[fx.Node]) -> fx.Node:
        """Find the last node that all of these come from, or the only one there is."""
        found, *others = nodes
        for other in others:
            while found is not other:
                if self.place[found] > self.place[other]:
                    found = self.dominator[found]
                else:
                    other = self.dominator[other]
        return found


def describe(module: nn.Module, kind: str, shape: tuple[int, ...], stage: str) -> Box:
    """Describe a layer by what a drawing says of it."""
    label, stride, groups = type(module).__name__, 1, 1
    if isinstance(module, nn.Conv2d):
        label, stride, groups = _by(module.kernel_size), _largest(module.stride), module.groups
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        label = f"{'max' if isinstance(module, nn.MaxPool2d) else 'avg'} {_by(module.kernel_size)}"
        stride = _largest(module.stride)
    elif isinstance(module, nn.AdaptiveAvgPool2d):
        label = "avg all" if shape[-1] == 1 or len(shape) == 1 else f"avg to {_by(shape[1:])}"
    elif isinstance(module, nn.Linear):
        label = "linear"
    return Box(kind, label, shape[0], shape[1] if len(shape) > 1 else 1, stride, groups, stage=stage)


def _plain_box(ledger: Ledger, stage: str) -> Box:
    layers = [layer for layer in ledger.layers if layer.stage == stage]
    # The costliest layer says best what the stage is.
    kind = max(layers, key=lambda layer: layer.macs).kind if layers else "other"
    shape = next(one.output_shape for one in ledger.stages if one.name == stage)
    return Box(kind, kind, shape[0], shape[1] if len(shape) > 1 else 1, stage=stage)


def _merge_norms(parts: Iterable[Part]) -> Iterator[Part]:
    """Put a normalisation into the layer it follows."""
    waiting: Part | None = None
    for part in parts:
        is_norm = isinstance(part, Box) and part.kind in ("norm", "lrn")
        if is_norm and isinstance(part, Box) and isinstance(waiting, Box) and not waiting.norm:
            waiting = replace(waiting, norm=part.kind)
            continue
        if waiting is not None:
            yield waiting
        waiting = part
    if waiting is not None:
        yield waiting


def _sources(node: fx.Node) -> list[fx.Node]:
    """Return what a call takes, each once, in the order of its arguments."""
    return list(node.all_input_nodes)


def _join_of(node: fx.Node) -> Literal["add", "concat", "other"]:
    if node.target in ADDITIONS:
        return "add"
    return "concat" if node.target in (torch.cat, torch.concat) else "other"


def _stage_of(part: Part) -> str:
    return next(boxes((part,))).stage


def _by(size: int | tuple[int, ...]) -> str:
    sides = (size, size) if isinstance(size, int) else size
    return TIMES.join(str(side) for side in sides)


def _largest(stride: int | tuple[int, ...]) -> int:
    return stride if isinstance(stride, int) else max(stride)
