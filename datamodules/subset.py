"""Fewer classes of a source: the first ten, a hundred, or those one names, with labels that start from 0."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from datamodules.errors import DataError, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from datamodules.images import Chooser, Images, NamedBytes, Parts, Pixels, Split, StreamedSplit

Classes = int | Sequence[int | str]


@dataclass(frozen=True, eq=False)
class ChosenSplit:
    """Some images of a split.

    Attributes:
        split: All of them.
        numbers: Which ones; int32.
        labels: Of the chosen ones; int32.
    """

    split: "Split"
    numbers: "NDArray[np.int32]"
    labels: "NDArray[np.int32]"

    def __len__(self) -> int:
        return len(self.numbers)

    def label(self, index: int) -> int:
        """Returns the place of the image's class among the chosen ones."""
        return int(self.labels[index])

    def read(self, index: int) -> "Tensor":
        """Returns what the split gives."""
        return self.split.read(int(self.numbers[index]))

    def view(self, index: int, choose: "Chooser", out: "Pixels") -> None:
        """Writes what the split does."""
        self.split.view(int(self.numbers[index]), choose, out)

    def encoded(self, index: int) -> "NamedBytes | None":
        """Returns what the split gives."""
        return self.split.encoded(int(self.numbers[index]))

    def digest(self) -> str:
        """Covers the split, and which of its images are chosen under which labels."""
        chosen = hashlib.sha256(self.numbers.tobytes() + self.labels.tobytes()).hexdigest()
        return hashlib.sha256(f"{self.split.digest()}\n{chosen}".encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class StreamedChoice(ChosenSplit):
    """Some images of a split that is fetched in parts."""

    split: "StreamedSplit"

    @property
    def parts(self) -> "Parts | None":
        """The same parts, and as many of them at a time, with fewer images each."""
        from datamodules.images import Parts

        parts = self.split.parts
        if parts is None:
            return None
        window = max(1, parts.window * len(self) // len(self.split))
        return Parts(self.numbers.searchsorted(parts.ends), window)

    def expect(self, index: int) -> None:
        """Takes note that an image will be needed soon."""
        self.split.expect(int(self.numbers[index]))


def choose_classes(images: "Images", classes: Classes | None) -> "Images":
    """Leaves some classes of a source, in their order; what is known of its pixels stays as it was.

    Args:
        images: An opened source.
        classes: The first so many, or a list of names (wnids) and labels; all if None.

    Raises:
        ValueError: There is no such class, one is named twice, or there are fewer than two.
        DataError: A chosen class has no images to train or to validate on.
    """
    if classes is None or classes == len(images.class_names):
        return images
    labels = find_labels(images.class_names, classes)
    return replace(
        images,
        class_names=tuple(images.class_names[label] for label in labels),
        train=_choose(images.train, labels, images.class_names),
        val=_choose(images.val, labels, images.class_names),
    )


def find_labels(class_names: Sequence[str], classes: Classes) -> list[int]:
    """Returns the labels of some classes, sorted.

    Raises:
        ValueError: There is no such class, one is named twice, or there are fewer than two.
    """
    if isinstance(classes, int):
        if not 2 <= classes <= len(class_names):
            raise ValueError(f"classes is {classes}; choose from 2 to {len(class_names)} of this source.")
        return list(range(classes))
    known = {name: label for label, name in enumerate(class_names)}
    labels = [_find(known, name) for name in classes]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"classes names {printable(class_names[twice[0]])} twice; once is enough.")
    if len(labels) < 2:
        raise ValueError(f"classes names {len(labels)} of them; a classifier needs two or more.")
    return sorted(labels)


def parse_classes(text: str) -> int | tuple[int | str, ...] | None:
    """Reads what a form or a command line says: ``100``, ``n01440764, n01443537``, or nothing for all."""
    names = [name for name in re.split(r"\s*[,\n]\s*", text.strip().strip("[]")) if name]
    if len(names) == 1 and names[0].isdecimal() and "," not in text:
        return int(names[0])
    return tuple(int(name) if name.isdecimal() else name for name in names) or None


def write_classes(classes: Classes | None) -> str:
    """Writes what `parse_classes` reads."""
    if classes is None or isinstance(classes, int):
        return "" if classes is None else str(classes)
    return ",".join(map(str, classes)) + ("," if len(classes) == 1 else "")


def _find(known: dict[str, int], name: int | str) -> int:
    """Looks for a name first: folders may well be called by numbers."""
    if str(name) in known:
        return known[str(name)]
    if isinstance(name, int) and 0 <= name < len(known):
        return name
    some = ", ".join(map(printable, list(known)[:3]))
    raise ValueError(f"There is no class {name!r}; this source has {len(known)}: {some} ...")


def _choose(split: "Split", chosen: Sequence[int], class_names: Sequence[str]) -> ChosenSplit:
    import numpy as np

    from datamodules.images import StreamedSplit

    if isinstance(split, StreamedSplit) and split.labels is None and split.parts is not None:
        raise DataError("These images keep no list of labels; to find some classes is to fetch all.")
    # Splits that hold a list of labels spare half a second for a million images.
    known = getattr(split, "labels", None)
    one_by_one = map(split.label, range(len(split)))
    labels = np.fromiter(one_by_one, np.int32, len(split)) if known is None else np.asarray(known)
    new_labels = np.full(len(class_names), -1, np.int32)
    new_labels[list(chosen)] = np.arange(len(chosen))
    numbers = np.flatnonzero(new_labels[labels] >= 0).astype(np.int32)
    found = ChosenSplit(split, numbers, new_labels[labels[numbers]])
    if isinstance(split, StreamedSplit):
        found = StreamedChoice(split, found.numbers, found.labels)
    counts = np.bincount(found.labels, minlength=len(chosen))
    if not counts.all():
        empty = printable(class_names[chosen[int(counts.argmin())]])
        raise DataError(f"The class {empty} has no images in one of the splits; choose others.")
    return found
