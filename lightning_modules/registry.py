"""Finds every architecture: each family file of this package lists its own in ``ARCHITECTURES``."""

import pkgutil
from functools import lru_cache
from importlib import import_module

import lightning_modules
from lightning_modules.architecture import Architecture

# Known to hold no family: not imported, since the classifier brings Lightning and its seconds along.
SUPPORT = frozenset(
    {
        "architecture",
        "auxiliary",
        "classifier",
        "initialisation",
        "ledger",
        "memory",
        "metrics",
        "normalization",
        "recipes",
        "registry",
        "schedules",
        "tracing",
        "twins",
        "weights",
    }
)


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
    for module in sorted(pkgutil.iter_modules(lightning_modules.__path__), key=lambda module: module.name):
        if module.name not in SUPPORT and not module.name.startswith("_"):
            family = import_module(f"{lightning_modules.__name__}.{module.name}")
            found += getattr(family, "ARCHITECTURES", ())
    by_key = {one.key: one for one in sorted(found, key=lambda one: (one.year, one.family))}
    assert len(by_key) == len(found), "two architectures share a key"
    return by_key
