"""Importing a large library without what it would load along for others."""

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder, PackageNotFoundError
from types import ModuleType

EVERY = DistributionFinder.Context()


@contextmanager
def hidden(*packages: str) -> Iterator[None]:
    """Lets imports of this thread find none of these packages, which are there again afterwards.

    For libraries that look what is installed and load all of it for features that nobody here uses. Packages
    that are loaded already stay visible.
    """
    finder = _Hiding(packages, threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Hiding(DistributionFinder):
    """Says of some packages that they are not installed, whoever asks and in whichever way."""

    def __init__(self, packages: Iterable[str], thread: int) -> None:
        self._packages = frozenset(packages)
        self._thread = thread  # what other threads import meanwhile is none of our business

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self._hides(fullname.partition(".")[0]):
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None

    def find_distributions(self, context: DistributionFinder.Context = EVERY) -> Iterable[Distribution]:
        if context.name is not None and self._hides(context.name):
            raise PackageNotFoundError(context.name)
        return ()

    def _hides(self, package: str) -> bool:
        return package in self._packages and threading.get_ident() == self._thread
