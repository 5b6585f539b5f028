"""Finds every architecture: each family file in ``networks/`` lists its own in ``ARCHITECTURES``."""

import logging
import pkgutil
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import lightning_modules
from lightning_modules import networks
from lightning_modules.architecture import Architecture

LOG = logging.getLogger(__name__)
LISTS_SOME = re.compile(r"^ARCHITECTURES\b", re.MULTILINE)


def architectures() -> dict[str, Architecture]:
    """Returns every architecture by key: by year, then family, then size as the family file lists them."""
    return dict(_discover())


def get(key: str) -> Architecture:
    """Returns the architecture of a key.

    Raises:
        ValueError: There is none; the message lists those there are.
    """
    found = _discover()
    if key not in found:
        raise ValueError(f"There is no architecture {key!r}; choose one of: {', '.join(found)}.")
    return found[key]


@lru_cache
def _discover() -> dict[str, Architecture]:
    found: list[Architecture] = []
    for name in _families():
        found += getattr(import_module(name), "ARCHITECTURES", ())
    by_key = {one.key: one for one in sorted(found, key=lambda one: (one.year, one.family))}
    assert len(by_key) == len(found), "two architectures share a key"
    return by_key


def _families() -> Iterator[str]:
    for module in pkgutil.iter_modules(networks.__path__):
        yield f"{networks.__name__}.{module.name}"
    for folder in lightning_modules.__path__:  # where families lay once, and files of users may still lie
        for file in sorted(Path(folder).glob("*.py")):
            if LISTS_SOME.search(file.read_text(encoding="utf-8")):
                place = networks.__path__[0]
                LOG.warning("%s is used, but networks belong in %s: move it there.", file, place)
                yield f"{lightning_modules.__name__}.{file.stem}"
