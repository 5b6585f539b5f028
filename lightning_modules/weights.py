"""Weights to start from: those that torchvision publishes, or the checkpoint of an earlier run.

torchvision's ``IMAGENET1K_V1`` weights are used unless others are named (``torchvision:NAME``): they were
trained much like those of the papers, or by the authors, and their error is that of one center crop. The
weights named ``V2`` have lower errors, from a longer training recipe of 2021 and another test size; to
measure these errors, set ``val_resize`` to 232.

torchvision's googlenet and inception_v3 are ports of networks whose pixels range from -1 to 1. They take
images with the usual normalisation and rescale them first (``transform_input``). This cannot be merged into
the first convolution where that pads with zeros, so it is a small layer here, `Rescale`, which is part of the
checkpoints of such a run.
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
from lightning_modules.counterparts import (
    OUR_HEADS,
    Fitted,
    Omission,
    counterpart_of,
    from_counterpart,
    match,
)
from lightning_modules.problems import UnusableWeights
from problems import InvalidValue

PUBLISHED = "torchvision"
DEFAULT_ENTRY = "IMAGENET1K_V1"
# Networks of torchvision whose published weights need pixels from -1 to 1, and those whose auxiliary heads
# were not trained. This is known from torchvision's code only, not from its metadata.
RESCALED = frozenset({"googlenet", "inception_v3"})
UNTRAINED_HEADS = frozenset({"googlenet"})
# With which torchvision normalises the pixels of ImageNet.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Start:
    """What a network started from.

    Attributes:
        source: Name of the published weights, or path of the checkpoint.
        sha256: Digest of the file; for published weights its first digits, which were checked.
        omissions: The layers that kept their own initialisation.
        rescales: Whether the weights need pixels from -1 to 1, see `Rescale`.
        error_top1: Published error of the weights in percent, None for a checkpoint.
        error_top5: Likewise.
        protocol: How the published errors were measured.
    """

    source: str
    sha256: str
    omissions: tuple[Omission, ...]
    rescales: bool = False
    error_top1: float | None = None
    error_top5: float | None = None
    protocol: str = ""

    def record(self) -> dict[str, object]:
        """Return the params to record with a run, without those that are unknown."""
        found = {
            "weights.source": self.source,
            "weights.sha256": self.sha256,
            "weights.published_error_top1": self.error_top1,
            "weights.published_error_top5": self.error_top5,
            "weights.protocol": self.protocol,
            "weights.new_layers": " ".join(map(str, self.omissions)),
        }
        return {key: value for key, value in found.items() if value not in (None, "")}


class Checkpoint(NamedTuple):
    """The network in a checkpoint of `ImageClassifier`: architecture, options and state dict."""

    architecture: Architecture
    options: dict[str, str]
    state: dict[str, Tensor]
    rescales: bool


class Rescale(nn.Module):
    """A layer that converts images normalised with ImageNet's statistics to pixels from -1 to 1."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
        self.register_buffer("scale", (deviation / 0.5)[:, None, None])
        self.register_buffer("shift", ((mean - 0.5) / 0.5)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Map N x 3 x H x W to the same shape."""
        return torch.addcmul(self.shift, images, self.scale)


def is_published(weights: str) -> bool:
    """Return whether weights are those of torchvision rather than a file or a run."""
    return weights.partition(":")[0] == PUBLISHED


def start_from(
    weights: str, architecture: Architecture, network: nn.Module, options: Mapping[str, str]
) -> Start:
    """Load weights into a newly built network, as far as they fit.

    Args:
        weights: ``torchvision``, ``torchvision:NAME`` or the path of a checkpoint.
        architecture: The architecture of the network.
        network: The network to load them into.
        options: The options that the network was built with.

    Raises:
        InvalidValue: The weights do not exist, cannot be downloaded or read, or are of another network.
    """
    if is_published(weights):
        return start_from_published(published_weights(architecture, options, weights), architecture, network)
    file = Path(weights)
    fitted, rescales = _fit_checkpoint(file, architecture, network, options)
    network.load_state_dict(fitted.state, strict=False)
    return Start(str(file), hash_file(file), fitted.omissions, rescales)


def check_weights(
    weights: str, architecture: Architecture, network: nn.Module, options: Mapping[str, str]
) -> None:
    """Check that `start_from` will work, as far as possible without a download.

    Args:
        weights: As for `start_from`.
        architecture: The architecture of the network.
        network: The network; it is not changed and may be on the meta device.
        options: The options that the network was built with.

    Raises:
        InvalidValue: It will not work.
    """
    if is_published(weights):
        published_weights(architecture, options, weights)
    else:
        _fit_checkpoint(Path(weights), architecture, network, options)


def published_weights(
    architecture: Architecture, options: Mapping[str, str] | None = None, weights: str = PUBLISHED
) -> Any:
    """Return torchvision's entry (a ``WeightsEnum``) for an architecture, without downloading anything.

    Args:
        architecture: The architecture of the network.
        options: The options of the network; weights are published for one choice only.
        weights: ``torchvision`` for ``IMAGENET1K_V1``, or ``torchvision:NAME``.

    Raises:
        InvalidValue: There are none for this network, these options or this name.
    """
    counterpart, network = architecture.counterpart, architecture.name
    if counterpart is None or counterpart.library != "torchvision":
        raise InvalidValue(UnusableWeights.NOT_PUBLISHED, network=network)
    chosen = architecture.check_options(options or {})
    for option, value in counterpart.options.items():
        if chosen[option] != value:
            raise InvalidValue(
                UnusableWeights.PUBLISHED_FOR_OPTION,
                network=network,
                option=option,
                theirs=value,
                ours=chosen[option],
            )
    entries = {
        entry.name: entry
        for entry in import_module("torchvision.models").get_model_weights(counterpart.name)
        if read_errors(entry) is not None
    }
    name = weights.partition(":")[2] or DEFAULT_ENTRY
    if name not in entries:
        allowed = ", ".join(entries)
        raise InvalidValue(UnusableWeights.NO_SUCH_NAME, name=name, network=network, allowed=allowed)
    return entries[name]


def read_errors(entry: Any) -> tuple[float, float] | None:
    """Return the published top-1 and top-5 error in percent, None for weights without a classifier."""
    accuracies = entry.meta["_metrics"].get("ImageNet-1K", {})
    errors = tuple(round(100 - accuracies.get(key, float("nan")), 3) for key in ("acc@1", "acc@5"))
    return (errors[0], errors[1]) if all(0 <= error <= 100 for error in errors) else None


def read_protocol(entry: Any) -> str:
    """Return how the published errors were measured: ``... resize 256, center crop 224, bilinear``."""
    preset = entry.transforms()
    (resize,), (crop,) = preset.resize_size, preset.crop_size
    return f"ILSVRC2012 val, resize {resize}, center crop {crop}, {preset.interpolation.value}"


def download(entry: Any, network: str) -> dict[str, Tensor]:
    """Return the state dict of torchvision's entry, from its cache or the internet, and check its hash.

    Args:
        entry: A ``WeightsEnum`` of torchvision.
        network: Name of the network, for error messages.

    Raises:
        InvalidValue: It cannot be downloaded, or is not what was published.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name
    if file.is_file() and not hash_file(file).startswith(published_hash(entry)):
        # torchvision itself checks only files that it has just downloaded.
        raise InvalidValue(UnusableWeights.CACHED_FILE_DIFFERS, file=file)
    try:
        state: dict[str, Tensor] = entry.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, HTTPException) as error:
        raise InvalidValue(
            UnusableWeights.NOT_DOWNLOADED,
            network=network,
            host=urlparse(entry.url).hostname or entry.url,
            said=getattr(error, "reason", error),
            name=file.name,
            folder=file.parent,
        ) from error
    except RuntimeError as error:
        raise InvalidValue(UnusableWeights.DAMAGED_DOWNLOAD, network=network) from error
    return state


def published_hash(entry: Any) -> str:
    """Return the first digits of the SHA-256 of an entry's file, which are part of the file's name."""
    found = torch.hub.HASH_REGEX.search(Path(urlparse(entry.url).path).name)
    assert found is not None, f"{entry.url} has no hash in its name"
    return str(found.group(1))


def hash_file(file: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def start_from_published(entry: Any, architecture: Architecture, network: nn.Module) -> Start:
    """Load an entry of torchvision's ``WeightsEnum`` into the network whose counterpart it is for.

    Raises:
        InvalidValue: It cannot be downloaded or does not fit.
    """
    counterpart = counterpart_of(architecture)
    state = download(entry, architecture.name)
    if counterpart.name in UNTRAINED_HEADS:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(counterpart.heads)}
    fitted = from_counterpart(architecture, network, state)
    network.load_state_dict(fitted.state, strict=False)
    top1, top5 = read_errors(entry) or (None, None)
    return Start(
        source=f"torchvision {entry}",
        sha256=published_hash(entry),
        omissions=fitted.omissions,
        rescales=counterpart.name in RESCALED,
        error_top1=top1,
        error_top5=top5,
        protocol=read_protocol(entry),
    )


def _fit_checkpoint(
    file: Path, architecture: Architecture, network: nn.Module, options: Mapping[str, str]
) -> tuple[Fitted, bool]:
    checkpoint = read_checkpoint(file)
    name = architecture.name
    if checkpoint.architecture.key != architecture.key:
        theirs = checkpoint.architecture.name
        raise InvalidValue(UnusableWeights.OTHER_NETWORK, file=file, theirs=theirs, ours=name)
    for option, ours in architecture.check_options(options).items():
        if (theirs := checkpoint.options[option]) != ours:
            raise InvalidValue(
                UnusableWeights.OTHER_OPTION,
                file=file,
                network=name,
                option=option,
                theirs=theirs,
                ours=ours,
            )
    fitted = match(checkpoint.state, network.state_dict(), OUR_HEADS, OUR_HEADS, name)
    return fitted, checkpoint.rescales


def read_checkpoint(file: Path) -> Checkpoint:
    """Read the network in a checkpoint of `ImageClassifier`.

    Raises:
        InvalidValue: The file cannot be loaded as data, or is not a checkpoint of `ImageClassifier`.
    """
    content = load_data(file, mmap=True)
    hparams, state = (_mapping(_mapping(content).get(key)) for key in ("hyper_parameters", "state_dict"))
    key, options = hparams.get("architecture"), _mapping(hparams.get("options"))
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not isinstance(key, str) or not tensors:
        raise InvalidValue(UnusableWeights.NAMES_NO_NETWORK, file=file)
    architecture = registry.get(key)
    prefix = "network."
    return Checkpoint(
        architecture,
        architecture.check_options(options),
        {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)},
        "rescale.scale" in tensors,
    )


def load_data(file: Path, mmap: bool = False) -> Any:
    """Load what `torch.save` has written into main memory. Code in the file is never run.

    Args:
        file: The file to load.
        mmap: Whether to map tensors from the file instead of reading them.

    Raises:
        InvalidValue: There is no such file, it is not a checkpoint, or it is more than data.
    """
    if not file.is_file():
        raise InvalidValue(UnusableWeights.NO_FILE, file=file)
    if not zipfile.is_zipfile(file):
        raise InvalidValue(UnusableWeights.INCOMPLETE, file=file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise InvalidValue(UnusableWeights.HAS_CODE, file=file) from error
    except Exception as error:  # torch raises many kinds of them for files of other formats
        said = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise InvalidValue(UnusableWeights.NOT_A_CHECKPOINT, file=file, said=said) from error


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) else {}
