"""What can be trained and on what. Imports torch, hence late: Home never waits for it."""

import gc
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from datamodules.sources import Source
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger import Ledger

# Long enough for the first page to reach the browser before torch takes the processor.
HEAD_START_S = 1.5


@lru_cache
def warm_up() -> threading.Thread:
    """Load the networks in the background, once for the process."""
    thread = threading.Thread(target=_load_after, args=(HEAD_START_S,), name="warm-up", daemon=True)
    thread.start()
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


def ledger(key: str, num_classes: int | None, image_size: int | None, options: Mapping[str, str]) -> "Ledger":
    """Count a network's parameters and MACs layer by layer.

    Raises:
        ValueError: the image is too small for the network.
    """
    _wait()
    from lightning_modules.ledger import measure

    return measure(key, num_classes=num_classes, image_size=image_size, **options)


def costs(cost: str) -> dict[str, int]:
    """Give every network's `parameters` or `macs` as in its paper: the paper's classes and image size."""
    return {key: getattr(ledger(key, None, None, {}), cost) for key in architectures()}


def _wait() -> None:
    if not _loaded.is_set():
        with st.spinner("Loading the networks (once after a start) …"), _loading:
            _load()


_loading = threading.Lock()
_loaded = threading.Event()


def _load_after(seconds: float) -> None:
    time.sleep(seconds)
    with _loading:
        _load()


def _load() -> None:
    if _loaded.is_set():
        return
    import lightning_modules.ledger
    from lightning_modules import registry

    for key in registry.architectures():
        lightning_modules.ledger.measure(key, num_classes=None, image_size=None)
    # What was just imported lives as long as the process: no need to look through it after every rerun.
    gc.freeze()
    _loaded.set()
