"""Our networks and the very same ones in torchvision or timm: one's weights under the other's names.

A network and its twin list the same layers in the same order, so their state dicts are mapped onto each
other by order. Auxiliary heads, which libraries list elsewhere, are matched apart from the rest.
"""

import warnings
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.architecture import Architecture, Twin
from lightning_modules.initialisation import without_numbers

OUR_HEADS = ("auxiliary",)
# Older files lack this count of batch normalisation, which nothing depends on.
COUNTER = "num_batches_tracked"

AFRESH = ", starts afresh"

Layer = dict[str, Tensor]


class Fitted(NamedTuple):
    """A state dict under the names it is for, and the layers it leaves out, a sentence each."""

    state: dict[str, Tensor]
    afresh: tuple[str, ...]


def from_twin(architecture: Architecture, network: nn.Module, state: Mapping[str, Tensor]) -> Fitted:
    """Maps a state dict of the twin onto our network.

    Args:
        architecture: Whose twin the state dict is of.
        network: Ours, for its names and shapes; it stays as it is, and may be on the meta device.
        state: The twin's, with any number of classes, with or without auxiliary heads.

    Returns:
        Our state dict, without the layers that have to start afresh.

    Raises:
        ValueError: A layer does not fit; the message names it on both sides, with its shapes.
    """
    twin = twin_of(architecture)
    return match(state, network.state_dict(), twin.heads, OUR_HEADS, architecture.name)


def to_twin(architecture: Architecture, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Maps a state dict of our network onto its twin's names.

    Args:
        architecture: Of the network.
        state: Ours, of a network with the options that the twin stands for.

    Returns:
        A state dict that the twin, built for the same number of classes, loads as its own.

    Raises:
        ValueError: There is no twin, or it cannot hold these weights, as with VGG at another image size.
    """
    twin = twin_of(architecture)
    trunk = [name for name in list_layers(state) if not name.startswith(OUR_HEADS)]
    num_classes = len(state[f"{trunk[-1]}.weight"])
    with without_numbers():
        target = build_twin(twin, num_classes).state_dict()
    fitted = match(state, target, OUR_HEADS, twin.heads, f"{twin.library}'s {twin.name}")
    if fitted.afresh:
        reason = fitted.afresh[0].removesuffix(AFRESH)
        raise ValueError(f"{twin.library}'s {twin.name} cannot hold these weights: {reason}.")
    return fitted.state


def build_twin(twin: Twin, num_classes: int) -> nn.Module:
    """Returns the other library's network with fresh weights.

    Raises:
        ValueError: The library is not installed.
    """
    try:
        library = import_module("torchvision.models" if twin.library == "torchvision" else twin.library)
    except ModuleNotFoundError as error:
        raise ValueError(f"{twin.library} is not installed; `pip install {twin.library}` first.") from error
    if twin.library == "timm":
        return library.create_model(twin.name, pretrained=False, num_classes=num_classes)  # type: ignore[no-any-return]
    with warnings.catch_warnings():  # about an initialisation that may change
        warnings.simplefilter("ignore", FutureWarning)
        return library.get_model(twin.name, weights=None, num_classes=num_classes)  # type: ignore[no-any-return]


def twin_of(architecture: Architecture) -> Twin:
    """Returns an architecture's twin. Raises ValueError where no library has one."""
    if architecture.twin is None:
        raise ValueError(f"No other library is known to have {architecture.name} as it is here.")
    return architecture.twin


def match(
    source: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    source_heads: tuple[str, ...],
    target_heads: tuple[str, ...],
    name: str,
) -> Fitted:
    """Renames a state dict to the names of another of the same layers in the same order.

    Args:
        source: What is to be renamed.
        target: Gives names and shapes.
        source_heads: What the names of auxiliary heads begin with in the source; they may be missing.
        target_heads: Likewise in the target.
        name: Of the target, for messages.

    Returns:
        The state dict, and what does not fit because the classes or the image size are others.

    Raises:
        ValueError: Anything else does not fit.
    """
    trunk, heads = _split(list_layers(source), source_heads)
    target_trunk, target_head_layers = _split(list_layers(target), target_heads)
    fitted = _match_layers(trunk, target_trunk, name)
    if target_head_layers and not heads:
        children = ", ".join(dict.fromkeys(layer.partition(".")[0] for layer in target_head_layers))
        return Fitted(fitted.state, (*fitted.afresh, f"{children}: not trained in the weights{AFRESH}"))
    of_heads = _match_layers(heads, target_head_layers, name)
    return Fitted(fitted.state | of_heads.state, fitted.afresh + of_heads.afresh)


def list_layers(state: Mapping[str, Tensor]) -> dict[str, Layer]:
    """Returns a state dict's entries by layer, in its order: ``{"fc": {"weight": ..., "bias": ...}}``."""
    layers: dict[str, Layer] = {}
    for name, tensor in state.items():
        layer, _, entry = name.rpartition(".")
        layers.setdefault(layer, {})[entry] = tensor
    return layers


def _split(layers: Mapping[str, Layer], heads: tuple[str, ...]) -> tuple[dict[str, Layer], dict[str, Layer]]:
    trunk = {name: layer for name, layer in layers.items() if not name.startswith(heads)}
    return trunk, {name: layer for name, layer in layers.items() if name.startswith(heads)}


def _match_layers(source: Mapping[str, Layer], target: Mapping[str, Layer], name: str) -> Fitted:
    state: dict[str, Tensor] = {}
    afresh: list[str] = []
    classifiers = _last_layers(target)
    for (their_name, theirs), (our_name, ours) in zip(source.items(), target.items(), strict=False):
        if _shapes(theirs) == _shapes(ours):
            state |= {f"{our_name}.{entry}": theirs.get(entry, torch.tensor(0)) for entry in ours}
        elif reason := _reason(theirs, ours, our_name in classifiers):
            afresh.append(f"{our_name}: {reason}{AFRESH}")
        else:
            raise ValueError(
                f"The weights do not fit {name}: its {our_name} has {_describe(ours)}, "
                f"their {their_name} {_describe(theirs)}."
            )
    if len(source) != len(target):
        raise ValueError(
            f"The weights do not fit {name}: it has {len(target)} layers, they have {len(source)}."
        )
    return Fitted(state, tuple(afresh))


def _last_layers(layers: Iterable[str]) -> set[str]:
    """Returns the classifier of a trunk, or that of each head: a head is one child of the network."""
    names = list(layers)
    heads = {name.partition(".")[0]: name for name in names if name.startswith(OUR_HEADS)}
    return set(heads.values()) or set(names[-1:])


def _shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    return {entry: tuple(tensor.shape) for entry, tensor in layer.items() if entry != COUNTER}


def _reason(theirs: Layer, ours: Layer, is_classifier: bool) -> str:
    """Returns why a layer differs where this is as it should be, nothing where it is not."""
    their_shape, our_shape = (_shapes(layer).get("weight", ()) for layer in (theirs, ours))
    if not their_shape or not our_shape or set(theirs) != set(ours):
        return ""
    if is_classifier and their_shape[1:] == our_shape[1:]:
        return f"{their_shape[0]} classes in the weights, {our_shape[0]} here"
    if len(our_shape) == len(their_shape) == 2 and their_shape[0] == our_shape[0]:
        return f"made for another image size, {their_shape[1]} inputs in the weights, {our_shape[1]} here"
    return ""


def _describe(layer: Layer) -> str:
    return ", ".join(f"{entry} {' x '.join(map(str, shape))}" for entry, shape in _shapes(layer).items())
