"""What can be trained and on what. Imports torch, hence late: Home never waits for it."""

import atexit
import gc
import logging
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.networks import thumbnail
from dashboard.widgets import palette

if TYPE_CHECKING:
    from dashboard.networks.parts import DrawnStage
    from datamodules.sources import Source
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger.table import Ledger

LOG = logging.getLogger(__name__)
# Long enough for the first page to reach the browser before torch takes the processor.
HEAD_START_S = 1.5
# After each network measured in the background the pages have the processor for so many seconds.
REST_S = 0.1


@lru_cache
def warm_up() -> threading.Thread:
    """Load and measure the networks in the background, once for the process."""
    thread = threading.Thread(target=_load_after, args=(HEAD_START_S,), name="warm-up", daemon=True)
    thread.start()
    atexit.register(_end, thread)
    return thread


def architectures() -> "Mapping[str, Architecture]":
    """Every network one can train, by key, in the order of the registry."""
    _wait()
    from lightning_modules import registry

    return registry.architectures()


def sources() -> "Mapping[str, Source]":
    """Every data source by key."""
    from datamodules import sources

    return sources.available()


def augmentations() -> Mapping[str, str]:
    """Return what can be done to training images: a sentence for every key."""
    _wait()
    from datamodules.pixels.augmentation import AUGMENTATIONS

    return {key: augmentation.description for key, augmentation in AUGMENTATIONS.items()}


def ledger(key: str, num_classes: int | None, image_size: int | None, options: Mapping[str, str]) -> "Ledger":
    """Count a network's parameters and MACs layer by layer.

    Raises:
        ValueError: the image is too small for the network.
    """
    _wait()
    from lightning_modules.ledger.table import measure

    return measure(key, num_classes=num_classes, image_size=image_size, **_chosen(key, options))


def structure(
    key: str, num_classes: int | None, image_size: int | None, options: Mapping[str, str]
) -> "tuple[DrawnStage, ...]":
    """Find the stages and parts a network is drawn from.

    Raises:
        ValueError: the image is too small for the network.
    """
    _wait()
    return _structure(key, num_classes, image_size, tuple(_chosen(key, options).items()))


def costs(cost: str) -> Mapping[str, int]:
    """Return every network's `parameters` or `macs` as in its paper, each measured when it is asked for."""
    return _Costs(cost)


def silhouettes() -> Mapping[str, str]:
    """Return the small drawings of the networks that were measured so far, by key; the others follow."""
    warm_up()
    return dict(_silhouettes)


class _Costs(Mapping[str, int]):
    def __init__(self, cost: str) -> None:
        self.cost = cost

    def __getitem__(self, key: str) -> int:
        if key not in architectures():
            raise KeyError(key)
        return int(getattr(ledger(key, None, None, {}), self.cost))

    def __iter__(self) -> Iterator[str]:
        return iter(architectures())

    def __len__(self) -> int:
        return len(architectures())


def _chosen(key: str, options: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is at its default, so that nothing is measured twice."""
    allowed = architectures()[key].options
    return {name: value for name, value in options.items() if value != allowed.get(name, (None,))[0]}


@lru_cache(maxsize=256)
def _structure(
    key: str, num_classes: int | None, image_size: int | None, options: tuple[tuple[str, str], ...]
) -> "tuple[DrawnStage, ...]":
    from dashboard.networks.structure import read_structure

    counted = ledger(key, num_classes, image_size, dict(options))
    with _tracing:
        return read_structure(architectures()[key], counted, num_classes, image_size, **dict(options))


def _wait() -> None:
    if not _loaded.is_set():
        with st.spinner("Loading the networks (once after a start) …"), _loading:
            _load()


# torch.fx replaces how modules are called while it traces one: two at a time would undo each other.
_tracing = threading.Lock()
_loading = threading.Lock()
_loaded = threading.Event()
_ending = threading.Event()
_silhouettes: dict[str, str] = {}


def _load_after(seconds: float) -> None:
    if _ending.wait(seconds):
        return
    with _loading:
        _load()
    networks = architectures()
    # What everybody asks for comes first, the deepest last.
    for key in sorted(networks, key=lambda key: (key not in palette.FIRST_PICK, networks[key].depth)):
        _silhouettes[key] = _draw_silhouette(key)
        if _ending.wait(REST_S):
            return
    import_module("datamodules.imagenet")  # for the Data page
    gc.collect()
    gc.freeze()


def _end(thread: threading.Thread) -> None:
    """Let the thread end what it measures: torch aborts a process that ends in the middle of its work."""
    _ending.set()
    thread.join()


def _draw_silhouette(key: str) -> str:
    try:
        return thumbnail.thumbnail(structure(key, None, None, {}))
    except Exception:
        # The network's own page will say so; the others are still to be measured.
        LOG.exception("%s cannot be measured", key)
        return ""


def _load() -> None:
    if _loaded.is_set():
        return
    from lightning_modules import registry

    import_module("dashboard.networks.structure")
    registry.architectures()
    # What was just imported lives as long as the process: no need to look through it after every rerun.
    gc.freeze()
    _loaded.set()
