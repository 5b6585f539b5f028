"""Some of a source's classes: the first ten, for example, or those of certain names; labels start from 0."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from datamodules.problems import Argument, DataError, LitData, Training, printable, shorten
from problems import InvalidValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from datamodules.images import Chooser, Images, NamedBytes, Parts, Pixels, Split, StreamedSplit

Classes = int | Sequence[int | str]
# Classes that an error names.
MAX_NAMED = 3


@dataclass(frozen=True, eq=False)
class ChosenSplit:
    """Some images of a split.

    Attributes:
        split: The whole split.
        numbers: Indices of the chosen images in it, int32.
        labels: Labels of the chosen images, int32.
    """

    split: "Split"
    numbers: "NDArray[np.int32]"
    labels: "NDArray[np.int32]"

    def __len__(self) -> int:
        return len(self.numbers)

    def label(self, index: int) -> int:
        """Return the index of the image's class among the chosen classes."""
        return int(self.labels[index])

    def read(self, index: int) -> "Tensor":
        """Decode one image; see `datamodules.images.Split`."""
        return self.split.read(int(self.numbers[index]))

    def view(self, index: int, choose: "Chooser", out: "Pixels") -> None:
        """Decode a view of one image; see `datamodules.images.Split`."""
        self.split.view(int(self.numbers[index]), choose, out)

    def encoded(self, index: int) -> "NamedBytes | None":
        """Return the file of an image; see `datamodules.images.Split`."""
        return self.split.encoded(int(self.numbers[index]))

    def digest(self) -> str:
        """Return a digest of the split, the indices of the chosen images, and their labels."""
        chosen = hashlib.sha256(self.numbers.tobytes() + self.labels.tobytes()).hexdigest()
        return hashlib.sha256(f"{self.split.digest()}\n{chosen}".encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class StreamedChoice(ChosenSplit):
    """Some images of a split that is downloaded in parts."""

    split: "StreamedSplit"

    @property
    def parts(self) -> "Parts | None":
        """The same parts, with fewer images each; as many parts are shuffled at a time."""
        from datamodules.images import Parts

        parts = self.split.parts
        if parts is None:
            return None
        window = max(1, parts.window * len(self) // len(self.split))
        return Parts(self.numbers.searchsorted(parts.ends), window)

    def expect(self, index: int) -> None:
        """Start to download the part of an image that will be needed soon."""
        self.split.expect(int(self.numbers[index]))


def choose_classes(images: "Images", classes: Classes | None) -> "Images":
    """Return some classes of a source, in the source's order, with unchanged mean and standard deviation.

    Args:
        images: An opened source.
        classes: The number of classes to take from the beginning, or a list of names (wnids) and labels; all
            if None.

    Raises:
        InvalidValue: There is no such class, one is listed twice, or there are fewer than two.
        DataError: A chosen class has no training or no validation images.
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
    """Return the labels of some classes, sorted.

    Raises:
        InvalidValue: There is no such class, one is listed twice, or there are fewer than two.
    """
    if isinstance(classes, int):
        if not 2 <= classes <= len(class_names):
            raise InvalidValue(Argument.TOO_MANY_CLASSES, value=classes, number=len(class_names))
        return list(range(classes))
    known = {name: label for label, name in enumerate(class_names)}
    labels = [_find(known, name) for name in classes]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise InvalidValue(Argument.CLASS_TWICE, name=printable(class_names[twice[0]]))
    if len(labels) < 2:
        raise InvalidValue(Argument.TOO_FEW_CLASSES, number=len(labels))
    return sorted(labels)


def parse_classes(text: str) -> int | tuple[int | str, ...] | None:
    """Parse a text from a form or an option: ``100``, ``n01440764, n01443537``, or empty for all."""
    names = [name for name in re.split(r"\s*[,\n]\s*", text.strip().strip("[]")) if name]
    if len(names) == 1 and names[0].isdecimal() and "," not in text:
        return int(names[0])
    return tuple(int(name) if name.isdecimal() else name for name in names) or None


def write_classes(classes: Classes | None) -> str:
    """Return the text that `parse_classes` parses."""
    if classes is None or isinstance(classes, int):
        return "" if classes is None else str(classes)
    return ",".join(map(str, classes)) + ("," if len(classes) == 1 else "")


def _find(known: dict[str, int], name: int | str) -> int:
    """Return the label of a class; names precede labels, since class folders may have numbers as names."""
    if str(name) in known:
        return known[str(name)]
    if isinstance(name, int) and 0 <= name < len(known):
        return name
    raise InvalidValue(Argument.NO_CLASS, name=name, some=shorten(list(known), MAX_NAMED))


def _choose(split: "Split", chosen: Sequence[int], class_names: Sequence[str]) -> ChosenSplit:
    import numpy as np

    from datamodules.images import StreamedSplit

    if isinstance(split, StreamedSplit) and split.labels is None and split.parts is not None:
        raise DataError(LitData.NO_LIST_OF_LABELS)
    # A list of labels saves half a second for a million images.
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
        raise DataError(Training.CLASS_WITHOUT_IMAGES, name=empty)
    return found
