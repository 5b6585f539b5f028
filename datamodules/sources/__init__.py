"""The sources of images: one file per source, found here. Nothing imports torch until a source is opened."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.problems import Argument, DataError, Root, explain
from problems import InvalidValue

if TYPE_CHECKING:
    from datamodules.images import Images
    from datamodules.progress import Progress


@dataclass(frozen=True)
class Source:
    """A source of images.

    Attributes:
        key: Name in configurations.
        title: Name for people.
        description: What the source holds and needs; one or two sentences.
        open: Returns the images of an existing folder, its argument, or takes no argument if ``root`` is
            empty. Raises DataError and OSError.
        root: The folder that the user has to name, as a noun phrase; empty if the source has its own images.
        open_address: Returns the images at an address such as ``s3://bucket/folder``; None for folders only.
        order: Sources are listed from small to large.
        in_memory: Whether images are read so fast that no additional process is needed.
        threads: Whether threads can read the images; a thread does if a single reader is enough.
        prepare: Makes the folder from archives, given the folder, that of the archives if there is one, and a
            `Progress`. Raises DataError. None if there is nothing to prepare.
    """

    key: str
    title: str
    description: str
    open: "Callable[..., Images]"
    root: str = ""
    order: int = 100
    in_memory: bool = False
    threads: bool = False
    prepare: "Callable[[Path, Path | None, Progress], None] | None" = None
    open_address: "Callable[[str], Images] | None" = None

    @property
    def needs_root(self) -> bool:
        """Whether the user has to name a folder or an address."""
        return bool(self.root)

    def images(self, root: str | None) -> "Images":
        """Open the folder or the address that a user has named.

        Raises:
            InvalidValue: There is a root, but the source has its own images.
            DataError: The images are missing or not as they should be.
        """
        try:
            if not self.root:
                if root:
                    raise InvalidValue(Argument.HAS_NO_ROOT, source=self.key)
                return self.open()
            if not root:
                raise DataError(Root.NOT_NAMED, wanted=self.root)
            if is_address(root):
                if self.open_address is None:
                    raise DataError(Root.NO_ADDRESSES, source=self.key, root=root)
                return self.open_address(root)
            folder = Path(root).expanduser()
            if not folder.is_dir():
                raise DataError(Root.MISSING, root=folder, wanted=self.root)
            return self.open(folder)
        except OSError as error:  # such as a folder without read permission
            raise explain(error) from error


def is_address(root: str) -> bool:
    """Return whether a root is an address such as ``s3://bucket/folder``, not a folder."""
    return "://" in root


def available() -> dict[str, Source]:
    """Return every source by key."""
    return dict(_discover())


def get(key: str) -> Source:
    """Return the source of a key.

    Raises:
        InvalidValue: There is none.
    """
    found = _discover()
    if key not in found:
        raise InvalidValue(Argument.NO_SOURCE, key=key, known=", ".join(found))
    return found[key]


@lru_cache
def _discover() -> dict[str, Source]:
    """Collect every ``SOURCE``: of files in this package, and of ``source.py`` in packages for formats."""
    names = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]
    names += [
        f"datamodules.{file.parent.name}.source" for file in Path(__file__).parents[1].glob("*/source.py")
    ]
    found: list[Source] = [
        module.SOURCE for module in map(import_module, sorted(names)) if hasattr(module, "SOURCE")
    ]
    return {source.key: source for source in sorted(found, key=lambda source: (source.order, source.key))}
