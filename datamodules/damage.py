"""How many unreadable images a training puts up with: it leaves them out, counts and names them, or stops."""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from datamodules.errors import DataError

# Names in the sentence that ends a run; the run itself keeps more, and a check finds all.
MAX_NAMED = 10


class Unreadable(NamedTuple):
    """An image that cannot be decoded.

    Attributes:
        split: ``train`` or ``val``.
        name: Of its file, and what is wrong with it.
    """

    split: str
    name: str


class Damage:
    """What this process could not read so far.

    The limit holds for either split by itself, and for different images: one that is met again in the next
    epoch counts once. A single image is always put up with, unless the limit is 0.

    Args:
        max_unreadable: Below 1 a share of the split's images, from 1 on a number of them.
        num_images: Images of each split.

    Raises:
        ValueError: The limit is negative or no number.
    """

    def __init__(self, max_unreadable: float, num_images: Mapping[str, int]) -> None:
        if not 0 <= max_unreadable < math.inf:
            raise ValueError(
                f"max_unreadable is {max_unreadable}; it must be a share of the images (0 to 1) or a number."
            )
        self.found: set[Unreadable] = set()
        self._max_unreadable, self._num_images = max_unreadable, num_images

    def add(self, found: Iterable[Unreadable]) -> None:
        """Notes what could not be read.

        Raises:
            DataError: It is more than the limit allows.
        """
        before = len(self.found)
        self.found.update(found)
        if len(self.found) > before:
            self.check(self.found)

    def check(self, found: Collection[Unreadable]) -> None:
        """Compares what was found, perhaps by several processes, with the limit.

        Raises:
            DataError: It is more; the sentence names some.
        """
        for split, purpose in (("train", "train"), ("val", "validate")):
            names = sorted(image.name for image in found if image.split == split)
            limit = self.limit(split)
            if len(names) > limit:
                some = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
                raise DataError(
                    f"{len(names)} of {self._num_images[split]:,} images to {purpose} on cannot be read, "
                    f"more than the {limit:,} that max_unreadable {self._max_unreadable:g} puts up with; "
                    f"mend or remove them: {some}"
                )

    def limit(self, split: str) -> int:
        """Returns how many unreadable images of a split are put up with."""
        if self._max_unreadable >= 1:
            return int(self._max_unreadable)
        return math.ceil(self._max_unreadable * self._num_images[split])
