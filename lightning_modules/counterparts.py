"""The same networks in torchvision and timm: renames the weights of one library to the names of the other.

A network and its counterpart list the same layers in the same order, so their state dicts are matched by
order. Auxiliary heads, which other libraries list elsewhere, are matched separately.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.architecture import Architecture, Counterpart
from lightning_modules.initialisation import without_numbers
from lightning_modules.problems import NewLayer, UnusableWeights
from problems import InvalidValue

OUR_HEADS = ("auxiliary",)
# This counter of batch normalisation is missing in older files, and nothing depends on it.
COUNTER = "num_batches_tracked"

Layer = dict[str, Tensor]


@dataclass(frozen=True)
class Omission:
    """A layer of the target that gets no weights.

    Args:
        layer: Its name.
        reason: Why it gets none.
        theirs: Its classes or inputs in the weights.
        ours: Its classes or inputs in the network.
    """

    layer: str
    reason: NewLayer
    theirs: int | None = None
    ours: int | None = None

    def __str__(self) -> str:
        return self.reason.value.format_map(vars(self))


class Fitted(NamedTuple):
    """A state dict with the names of the target, and the layers of the target that are not in it."""

    state: dict[str, Tensor]
    omissions: tuple[Omission, ...]


def from_counterpart(architecture: Architecture, network: nn.Module, state: Mapping[str, Tensor]) -> Fitted:
    """Convert a state dict of the counterpart for our network.

    Args:
        architecture: The architecture of both.
        network: Our network, which provides names and shapes. It is not changed and may be on the meta
            device.
        state: The state dict of the counterpart, for any number of classes, with or without auxiliary heads.

    Raises:
        InvalidValue: A layer does not fit.
    """
    heads = counterpart_of(architecture).heads
    return match(state, network.state_dict(), heads, OUR_HEADS, architecture.name)


def to_counterpart(architecture: Architecture, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert a state dict of our network for its counterpart.

    Args:
        architecture: The architecture of both.
        state: The state dict of our network, built with the options that the counterpart has.

    Returns:
        A state dict that the counterpart, built for the same number of classes, can load.

    Raises:
        InvalidValue: There is no counterpart, or the weights do not fit it, as for VGG at another image size.
    """
    counterpart = counterpart_of(architecture)
    trunk = [name for name in list_layers(state) if not name.startswith(OUR_HEADS)]
    num_classes = len(state[f"{trunk[-1]}.weight"])
    with without_numbers():
        target = build_counterpart(counterpart, num_classes).state_dict()
    library, name = counterpart.library, counterpart.name
    fitted = match(state, target, OUR_HEADS, counterpart.heads, f"{library}'s {name}")
    if fitted.omissions:
        raise InvalidValue(
            UnusableWeights.CANNOT_HOLD, library=library, name=name, reason=fitted.omissions[0]
        )
    return fitted.state


def build_counterpart(counterpart: Counterpart, num_classes: int) -> nn.Module:
    """Build the network of the other library, newly initialised.

    Raises:
        InvalidValue: The library is not installed.
    """
    name, library = counterpart.name, counterpart.library
    try:
        package = import_module("torchvision.models" if library == "torchvision" else library)
    except ModuleNotFoundError as error:
        raise InvalidValue(UnusableWeights.NOT_INSTALLED, library=library) from error
    if library == "timm":
        return package.create_model(name, pretrained=False, num_classes=num_classes)  # type: ignore[no-any-return]
    with warnings.catch_warnings():  # about a default initialisation that may change
        warnings.simplefilter("ignore", FutureWarning)
        return package.get_model(name, weights=None, num_classes=num_classes)  # type: ignore[no-any-return]


def counterpart_of(architecture: Architecture) -> Counterpart:
    """Return the counterpart of an architecture.

    Raises:
        InvalidValue: No library has one.
    """
    if architecture.counterpart is None:
        raise InvalidValue(UnusableWeights.NO_COUNTERPART, network=architecture.name)
    return architecture.counterpart


def match(
    source: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    source_heads: tuple[str, ...],
    target_heads: tuple[str, ...],
    name: str,
) -> Fitted:
    """Rename the entries of a state dict to those of another that has the same layers in the same order.

    Args:
        source: The state dict to rename.
        target: The state dict that provides names and shapes.
        source_heads: Prefixes of the auxiliary heads in the source, which may have none.
        target_heads: Prefixes of the auxiliary heads in the target.
        name: Name of the target, for error messages.

    Returns:
        The renamed state dict. Layers whose shape depends on the number of classes or the image size are
        omitted where that differs.

    Raises:
        InvalidValue: Another layer does not fit.
    """
    trunk, heads = _split(list_layers(source), source_heads)
    target_trunk, target_head_layers = _split(list_layers(target), target_heads)
    fitted = _match_layers(trunk, target_trunk, name)
    if target_head_layers and not heads:
        children = dict.fromkeys(layer.partition(".")[0] for layer in target_head_layers)
        untrained = tuple(Omission(child, NewLayer.UNTRAINED) for child in children)
        return Fitted(fitted.state, fitted.omissions + untrained)
    of_heads = _match_layers(heads, target_head_layers, name)
    return Fitted(fitted.state | of_heads.state, fitted.omissions + of_heads.omissions)


def list_layers(state: Mapping[str, Tensor]) -> dict[str, Layer]:
    """Group the entries of a state dict by layer, in order: ``{"fc": {"weight": ..., "bias": ...}}``."""
    layers: dict[str, Layer] = {}
    for name, tensor in state.items():
        layer, _, entry = name.rpartition(".")
        layers.setdefault(layer, {})[entry] = tensor
    return layers


def _split(layers: Mapping[str, Layer], heads: tuple[str, ...]) -> tuple[dict[str, Layer], dict[str, Layer]]:
    trunk = {name: layer for name, layer in layers.items() if not name.startswith(heads)}
    return trunk, {name: layer for name, layer in layers.items() if name.startswith(heads)}


def _match_layers(source: Mapping[str, Layer], target: Mapping[str, Layer], network: str) -> Fitted:
    state: dict[str, Tensor] = {}
    omissions: list[Omission] = []
    classifiers = _last_layers(target)
    for (their_name, theirs), (our_name, ours) in zip(source.items(), target.items(), strict=False):
        if _shapes(theirs) == _shapes(ours):
            state |= {f"{our_name}.{entry}": theirs.get(entry, torch.tensor(0)) for entry in ours}
        elif omission := _explain(our_name, theirs, ours, our_name in classifiers):
            omissions.append(omission)
        else:
            raise InvalidValue(
                UnusableWeights.OTHER_LAYER,
                network=network,
                our_layer=our_name,
                ours=_describe(ours),
                their_layer=their_name,
                theirs=_describe(theirs),
            )
    if len(source) != len(target):
        raise InvalidValue(UnusableWeights.OTHER_DEPTH, network=network, ours=len(target), theirs=len(source))
    return Fitted(state, tuple(omissions))


def _last_layers(layers: Iterable[str]) -> set[str]:
    """Return the classifier of a trunk, or that of each head. A head is one child of the network."""
    names = list(layers)
    heads = {name.partition(".")[0]: name for name in names if name.startswith(OUR_HEADS)}
    return set(heads.values()) or set(names[-1:])


def _shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    return {entry: tuple(tensor.shape) for entry, tensor in layer.items() if entry != COUNTER}


def _explain(name: str, theirs: Layer, ours: Layer, is_classifier: bool) -> Omission | None:
    """Return why the shapes of a layer may differ, or None where they must not."""
    their_shape, our_shape = (_shapes(layer).get("weight", ()) for layer in (theirs, ours))
    if not their_shape or not our_shape or set(theirs) != set(ours):
        return None
    if is_classifier and their_shape[1:] == our_shape[1:]:
        return Omission(name, NewLayer.OTHER_CLASSES, their_shape[0], our_shape[0])
    if len(our_shape) == len(their_shape) == 2 and their_shape[0] == our_shape[0]:
        return Omission(name, NewLayer.OTHER_IMAGE_SIZE, their_shape[1], our_shape[1])
    return None


def _describe(layer: Layer) -> str:
    return ", ".join(f"{entry} {' x '.join(map(str, shape))}" for entry, shape in _shapes(layer).items())
