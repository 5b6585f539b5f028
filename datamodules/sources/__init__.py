"""Where images come from: one file a source, found here. Knows no torch until a source is opened."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError, explain

if TYPE_CHECKING:
    from datamodules.images import Images
    from datamodules.progress import Progress


@dataclass(frozen=True)
class Source:
    """A data source one can choose, by key.

    Attributes:
        key: Its name in configurations.
        title: Its name for people.
        description: One or two sentences: what it holds and what it needs.
        open: Gives the images of a folder (of none where ``needs_root`` is False); raises DataError.
        open_address: Gives those at an address such as ``s3://bucket/folder``; None for folders only.
        needs_root: Whether the user has to name a folder.
        order: Sources are listed from small to large.
        in_memory: Whether reading costs so little that no extra process should do it.
        threads: Whether threads can read it, and a single reader beside a CPU is one.
        prepare: Makes the folder from archives: takes the folder, that of the archives if there is one, and
            whom to tell; raises DataError. None where there is nothing to prepare.
    """

    key: str
    title: str
    description: str
    open: "Callable[[Path | None], Images]"
    needs_root: bool = False
    order: int = 100
    in_memory: bool = False
    threads: bool = False
    prepare: "Callable[[Path, Path | None, Progress], None] | None" = None
    open_address: "Callable[[str], Images] | None" = None

    def images(self, root: str | None) -> "Images":
        """Opens what a user has named, a folder or an address.

        Raises:
            DataError: The images are not there, or not as they must be.
        """
        try:
            if root and is_address(root):
                if self.open_address is None:
                    raise DataError(
                        f"{self.key} reads a folder, not an address such as {root}; litdata does."
                    )
                return self.open_address(root)
            return self.open(Path(root).expanduser() if root else None)
        except OSError as error:  # such as a folder that one may not look into
            raise DataError(explain(error)) from error


def is_address(root: str) -> bool:
    """Tells an address such as ``s3://bucket/folder`` from a folder."""
    return "://" in root


def available() -> dict[str, Source]:
    """Returns every source by key; each file of this package has its own in ``SOURCE``, see `_discover`."""
    return dict(_discover())


def get(key: str) -> Source:
    """Returns the source of a key.

    Raises:
        ValueError: There is none; the message lists those there are.
    """
    found = _discover()
    if key not in found:
        raise ValueError(f"There is no data source {key!r}; choose one of: {', '.join(found)}.")
    return found[key]


@lru_cache
def _discover() -> dict[str, Source]:
    """Finds the files of this package, and the ``source.py`` of formats that have a package of their own."""
    names = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]
    names += [
        f"datamodules.{file.parent.name}.source" for file in Path(__file__).parents[1].glob("*/source.py")
    ]
    found: list[Source] = [
        module.SOURCE for module in map(import_module, sorted(names)) if hasattr(module, "SOURCE")
    ]
    return {source.key: source for source in sorted(found, key=lambda source: (source.order, source.key))}
