"""The registry of architectures: each family file in ``networks/`` lists its own in ``ARCHITECTURES``."""

import difflib
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
from lightning_modules.problems import InvalidChoice
from problems import InvalidValue

LOG = logging.getLogger(__name__)
LISTS_SOME = re.compile(r"^ARCHITECTURES\b", re.MULTILINE)


def architectures() -> dict[str, Architecture]:
    """Return all architectures by key, ordered by year, family, and position in the family's file."""
    return dict(_discover())


def get(key: str) -> Architecture:
    """Return the architecture with a key.

    Raises:
        InvalidValue: There is none. The message lists similar keys or, if there are none, all keys.
    """
    found = _discover()
    if key in found:
        return found[key]
    if similar := difflib.get_close_matches(key.lower(), found, n=3, cutoff=0.5):
        raise InvalidValue(InvalidChoice.SIMILAR_NETWORK, key=key, similar=" or ".join(similar))
    raise InvalidValue(InvalidChoice.NO_NETWORK, key=key, allowed=", ".join(found))


@lru_cache
def _discover() -> dict[str, Architecture]:
    found: list[Architecture] = []
    for name in _families():
        found += getattr(import_module(name), "ARCHITECTURES", ())
    by_key = {one.key: one for one in sorted(found, key=lambda one: (one.year, one.family))}
    assert len(by_key) == len(found), "two architectures have the same key"
    return by_key


def _families() -> Iterator[str]:
    for module in pkgutil.iter_modules(networks.__path__):
        yield f"{networks.__name__}.{module.name}"
    # The former place of families, where users may still have files.
    for folder in lightning_modules.__path__:
        for file in sorted(Path(folder).glob("*.py")):
            if LISTS_SOME.search(file.read_text(encoding="utf-8")):
                place = networks.__path__[0]
                LOG.warning("%s is used, but networks belong in %s; move it there.", file, place)
                yield f"{lightning_modules.__name__}.{file.stem}"
