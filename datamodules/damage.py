"""The unreadable images that a run tolerates: they are left out, counted and named up to a limit."""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from datamodules.problems import Argument, DataError, Training, shorten
from problems import InvalidValue

# The number of names in the error that ends a run; the run itself records more, and a check finds all.
MAX_NAMED = 10


class Unreadable(NamedTuple):
    """An image that cannot be decoded.

    Attributes:
        split: ``train`` or ``val``.
        name: Name of its file, with the reason in parentheses.
    """

    split: str
    name: str


class Damage:
    """The images that this process could not read so far.

    The limit applies to each split separately, and an image counts once, even if it is read again in the next
    epoch. A single image is always tolerated, unless the limit is 0.

    Args:
        max_unreadable: A share of the split's images if below 1, otherwise a number of them.
        num_images: Number of images in each split.

    Raises:
        InvalidValue: The limit is negative or not a finite number.
    """

    def __init__(self, max_unreadable: float, num_images: Mapping[str, int]) -> None:
        if not 0 <= max_unreadable < math.inf:
            raise InvalidValue(Argument.BAD_SHARE, name="max_unreadable", value=max_unreadable)
        self.found: set[Unreadable] = set()
        self._max_unreadable, self._num_images = max_unreadable, num_images

    def add(self, found: Iterable[Unreadable]) -> None:
        """Add images that could not be read.

        Raises:
            DataError: There are more of them than the limit allows.
        """
        before = len(self.found)
        self.found.update(found)
        if len(self.found) > before:
            self.check(self.found)

    def check(self, found: Collection[Unreadable]) -> None:
        """Compare the images that were found, perhaps by several processes, with the limit.

        Raises:
            DataError: There are more of them than the limit allows.
        """
        for split, title in (("train", "training"), ("val", "validation")):
            names = sorted(image.name for image in found if image.split == split)
            limit = self.limit(split)
            if len(names) > limit:
                raise DataError(
                    Training.TOO_MANY_UNREADABLE,
                    number=len(names),
                    total=self._num_images[split],
                    split=title,
                    limit=limit,
                    max_unreadable=self._max_unreadable,
                    names=shorten(names, MAX_NAMED),
                )

    def limit(self, split: str) -> int:
        """Return how many unreadable images of a split are tolerated."""
        if self._max_unreadable >= 1:
            return int(self._max_unreadable)
        return math.ceil(self._max_unreadable * self._num_images[split])
