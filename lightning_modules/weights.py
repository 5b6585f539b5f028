"""Weights to start from: those torchvision publishes, or the checkpoint of an earlier run.

Of the weights torchvision publishes we take ``IMAGENET1K_V1`` unless told otherwise (``torchvision:NAME``):
they come from a training like that of the papers, or from the authors' own, and their error is that of one
centre crop. Those called ``V2`` are better by a longer recipe of 2021 and another test size: to measure their
error, give the images ``val_resize`` 232.

torchvision's googlenet and inception_v3 were ported from networks that take pixels from -1 to 1. They are
given images normalised as for all others and rescale them first (``transform_input``). That cannot be
folded into the first convolution where this one pads with zeros, so here a small layer does the same,
`Rescale`; it is part of the checkpoints of such a run.
"""

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from lightning_modules import registry
from lightning_modules.architecture import Architecture
from lightning_modules.twins import OUR_HEADS, Fitted, from_twin, match, twin_of

PUBLISHED = "torchvision"
DEFAULT_ENTRY = "IMAGENET1K_V1"
# Networks of torchvision whose published weights want pixels from -1 to 1, and those whose heads were
# never trained; torchvision's builders say so, its metadata do not.
RESCALED = frozenset({"googlenet", "inception_v3"})
UNTRAINED_HEADS = frozenset({"googlenet"})
# What torchvision normalises ImageNet's pixels by.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Start:
    """What a network started from.

    Attributes:
        source: The published weights' name, or the checkpoint's file.
        sha256: Of the file; of published weights the beginning, which was checked.
        afresh: The layers that kept their own initialisation, a sentence each.
        rescales: Whether the weights want pixels from -1 to 1, see `Rescale`.
        error_top1: What was published for the weights, in percent; None for a checkpoint.
        error_top5: Likewise.
        protocol: What the published errors hold for.
    """

    source: str
    sha256: str
    afresh: tuple[str, ...]
    rescales: bool = False
    error_top1: float | None = None
    error_top5: float | None = None
    protocol: str = ""

    def record(self) -> dict[str, object]:
        """Returns what a run should keep of it, without what is not known."""
        found = {
            "weights.source": self.source,
            "weights.sha256": self.sha256,
            "weights.published_error_top1": self.error_top1,
            "weights.published_error_top5": self.error_top5,
            "weights.protocol": self.protocol,
            "weights.afresh": "; ".join(self.afresh),
        }
        return {key: value for key, value in found.items() if value not in (None, "")}


class Checkpoint(NamedTuple):
    """What a checkpoint of ours holds of its network: the architecture, its options, its state dict."""

    architecture: Architecture
    options: dict[str, str]
    state: dict[str, Tensor]
    rescales: bool


class Rescale(nn.Module):
    """Turns images normalised by ImageNet's mean and deviation (N x 3 x H x W) into pixels from -1 to 1."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
        self.register_buffer("scale", (deviation / 0.5)[:, None, None])
        self.register_buffer("shift", ((mean - 0.5) / 0.5)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Maps N x 3 x H x W to the same shape."""
        return torch.addcmul(self.shift, images, self.scale)


def is_published(weights: str) -> bool:
    """Returns whether weights are torchvision's, not a file."""
    return weights.partition(":")[0] == PUBLISHED


def start_from(
    weights: str, architecture: Architecture, network: nn.Module, options: Mapping[str, str]
) -> Start:
    """Loads weights into a network that was just built.

    Args:
        weights: ``torchvision``, ``torchvision:NAME`` or the path of a checkpoint.
        architecture: Of the network.
        network: Gets the weights, as far as they fit.
        options: That the network was built with.

    Raises:
        ValueError: There are none, they cannot be had, or they are of another network; one sentence.
    """
    if is_published(weights):
        return start_from_published(published_weights(architecture, options, weights), architecture, network)
    return start_from_checkpoint(Path(weights), architecture, network, options)


def check_weights(
    weights: str, architecture: Architecture, network: nn.Module, options: Mapping[str, str]
) -> None:
    """Makes sure that `start_from` will work, as far as that can be told without downloading.

    Args:
        weights: As in `start_from`.
        architecture: Of the network.
        network: Stays as it is, and may be without numbers (on the meta device).
        options: That the network was built with.

    Raises:
        ValueError: It cannot work; one sentence.
    """
    if is_published(weights):
        published_weights(architecture, options, weights)
    else:
        _fit_checkpoint(Path(weights), architecture, network, options)


def published_weights(
    architecture: Architecture, options: Mapping[str, str] | None = None, weights: str = PUBLISHED
) -> Any:
    """Returns torchvision's entry (of its ``WeightsEnum``) for an architecture; nothing is downloaded.

    Args:
        architecture: What they are for.
        options: Of the network; published weights hold for one choice.
        weights: ``torchvision`` for ``IMAGENET1K_V1``, or ``torchvision:NAME``.

    Raises:
        ValueError: There are none for this network, its options or that name.
    """
    twin = architecture.twin
    if twin is None or twin.library != "torchvision":
        raise ValueError(f"torchvision publishes no weights of {architecture.name}.")
    chosen = architecture.check_options(options or {})
    for option, value in twin.options.items():
        if chosen[option] != value:
            raise ValueError(
                f"The published weights of {architecture.name} are for {option} {value}, not "
                f"{chosen[option]}; choose that option or other weights."
            )
    entries = {
        entry.name: entry
        for entry in import_module("torchvision.models").get_model_weights(twin.name)
        if read_errors(entry) is not None
    }
    name = weights.partition(":")[2] or DEFAULT_ENTRY
    if name not in entries:
        raise ValueError(
            f"torchvision publishes no weights {name!r} of {architecture.name}; "
            f"choose one of: {', '.join(entries)}."
        )
    return entries[name]


def read_errors(entry: Any) -> tuple[float, float] | None:
    """Returns the published top-1 and top-5 error in percent; None for weights without a classifier."""
    accuracies = entry.meta["_metrics"].get("ImageNet-1K", {})
    errors = tuple(round(100 - accuracies.get(key, float("nan")), 3) for key in ("acc@1", "acc@5"))
    return (errors[0], errors[1]) if all(0 <= error <= 100 for error in errors) else None


def read_protocol(entry: Any) -> str:
    """Returns what the published errors hold for, such as ``resize 256, center crop 224, bilinear``."""
    preset = entry.transforms()
    (resize,), (crop,) = preset.resize_size, preset.crop_size
    return f"ILSVRC2012 val, resize {resize}, center crop {crop}, {preset.interpolation.value}"


def download(entry: Any, name: str) -> dict[str, Tensor]:
    """Returns the state dict of torchvision's entry, from its cache or the internet, checked by its hash.

    Args:
        entry: Of torchvision's ``WeightsEnum``.
        name: The network's, for messages.

    Raises:
        ValueError: It cannot be downloaded, or is not what was published; one sentence.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name
    if file.is_file() and not hash_file(file).startswith(published_hash(entry)):
        # torchvision itself only checks what it has just downloaded.
        raise ValueError(f"{file} is not the file that torchvision publishes: its hash differs; delete it.")
    try:
        state: dict[str, Tensor] = entry.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, HTTPException) as error:
        host = urlparse(entry.url).hostname or entry.url
        raise ValueError(
            f"The published weights of {name} could not be downloaded from {host} "
            f"({getattr(error, 'reason', error)}); put {file.name} into {file.parent}, "
            "or choose other weights."
        ) from error
    except RuntimeError as error:
        raise ValueError(
            f"The published weights of {name} arrived damaged: their hash is not the published one."
        ) from error
    return state


def published_hash(entry: Any) -> str:
    """Returns the first digits of the SHA-256 of an entry's file, which are part of its name."""
    found = torch.hub.HASH_REGEX.search(Path(urlparse(entry.url).path).name)
    assert found is not None, f"{entry.url} has no hash in its name"
    return str(found.group(1))


def hash_file(file: Path) -> str:
    """Returns the SHA-256 of a file, 64 hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def start_from_published(entry: Any, architecture: Architecture, network: nn.Module) -> Start:
    """Loads an entry of torchvision's ``WeightsEnum`` into the network it is the twin of.

    Raises:
        ValueError: It cannot be downloaded or does not fit; one sentence.
    """
    twin = twin_of(architecture)
    state = download(entry, architecture.name)
    if twin.name in UNTRAINED_HEADS:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(twin.heads)}
    fitted = from_twin(architecture, network, state)
    network.load_state_dict(fitted.state, strict=False)
    errors = read_errors(entry)
    return Start(
        source=f"torchvision {entry}",
        sha256=published_hash(entry),
        afresh=fitted.afresh,
        rescales=twin.name in RESCALED,
        error_top1=errors[0] if errors else None,
        error_top5=errors[1] if errors else None,
        protocol=read_protocol(entry),
    )


def start_from_checkpoint(
    file: Path, architecture: Architecture, network: nn.Module, options: Mapping[str, str]
) -> Start:
    """Loads a checkpoint of `ImageClassifier` into a network of the same architecture and options.

    Raises:
        ValueError: The file is no such checkpoint, or one of another network; one sentence.
    """
    fitted, rescales = _fit_checkpoint(file, architecture, network, options)
    network.load_state_dict(fitted.state, strict=False)
    return Start(str(file), hash_file(file), fitted.afresh, rescales)


def _fit_checkpoint(
    file: Path, architecture: Architecture, network: nn.Module, options: Mapping[str, str]
) -> tuple[Fitted, bool]:
    checkpoint = read_checkpoint(file)
    if checkpoint.architecture.key != architecture.key:
        raise ValueError(f"{file} holds {checkpoint.architecture.name}, not {architecture.name}.")
    for option, value in architecture.check_options(options).items():
        if checkpoint.options[option] != value:
            raise ValueError(
                f"{file} holds {architecture.name} with {option} {checkpoint.options[option]}, not {value}; "
                "choose the same option."
            )
    ours = network.state_dict()
    return match(checkpoint.state, ours, OUR_HEADS, OUR_HEADS, architecture.name), checkpoint.rescales


def read_checkpoint(file: Path) -> Checkpoint:
    """Reads the network out of a checkpoint of `ImageClassifier`; no code in the file is ever run.

    Raises:
        ValueError: There is no such file, or it is no checkpoint, not one of ours, or more than data.
    """
    if not file.is_file():
        raise ValueError(f"There is no checkpoint {file}.")
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is not a checkpoint, or only the beginning of one.")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{file} is refused: reading it would run code that is inside it, or it is damaged."
        ) from error
    except Exception as error:  # torch has many for a file that is something else
        raise ValueError(f"{file} is not a checkpoint: {_first_line(error)}.") from error
    hparams, state = (_mapping(_mapping(content).get(key)) for key in ("hyper_parameters", "state_dict"))
    key, options = hparams.get("architecture"), _mapping(hparams.get("options"))
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not isinstance(key, str) or not tensors:
        raise ValueError(f"{file} is no checkpoint of this program: it does not say which network it holds.")
    architecture = registry.get(key)
    prefix = "network."
    return Checkpoint(
        architecture,
        architecture.check_options(options),
        {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)},
        "rescale.scale" in tensors,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) else {}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
