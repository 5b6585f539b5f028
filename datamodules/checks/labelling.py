"""Labels that are not what they seem: classes in an unexpected order, images in the wrong class."""

import re
from collections.abc import Iterator, Mapping, Sequence

from datamodules.checks.reports import MAX_NAMED, Finding
from datamodules.errors import printable
from datamodules.ilsvrc2012.labels import WNID, val_labels, wnids
from datamodules.images import Split
from datamodules.sources.folder import FolderSplit

VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.", re.ASCII)

Splits = Mapping[str, Split]


def find_mislabelled(splits: Splits, class_names: Sequence[str]) -> Iterator[Finding]:
    """Finds whatever makes a network learn other labels than its user believes.

    What a picture shows is not looked at: two classes whose images were swapped as a whole go unnoticed,
    unless their names say where they belong.
    """
    yield from find_order(class_names)
    yield from find_misplaced(splits, class_names)


def name_image(splits: Splits, split: str, number: int) -> str:
    """Returns the name of an image for people, relative to the root."""
    images = splits[split]
    if isinstance(images, FolderSplit):
        return printable(f"{images.folder.name}/{images.index.file(number)}")
    return f"{split} image {number}"


def find_order(class_names: Sequence[str]) -> Iterator[Finding]:
    """Finds class names whose order is not the one people expect: labels follow the sorted names."""
    if all(name.isdecimal() for name in class_names):
        by_number = sorted(class_names, key=int)
        if list(class_names) != by_number:
            label = next(place for place, name in enumerate(class_names) if name != by_number[place])
            text = (
                f"The classes are numbers, but labels follow their names as text: label {label} is the class "
                f"{class_names[label]!r}, not {by_number[label]!r}; number them 000, 001, ... for weights of "
                "elsewhere to fit."
            )
            yield Finding("numeric-order", "warning", text, len(class_names), tuple(class_names[:MAX_NAMED]))
        if len(class_names) == 1000 and set(map(int, class_names)) == set(range(1, 1001)):
            text = (
                "The classes are the numbers 1 to 1000, perhaps ILSVRC2012_ID: published weights expect the "
                "order of the wnids, which is another; name the folders by wnid."
            )
            yield Finding("ilsvrc-ids", "error", text, 1000)
    elif len(class_names) == 1000 and all(map(WNID.fullmatch, class_names)):
        others = set(class_names).difference(wnids())
        if others:
            text = "Classes that are none of ILSVRC2012's among 1,000: published weights do not fit."
            yield Finding("other-wnids", "warning", text, len(others), tuple(sorted(others)[:MAX_NAMED]))
    elif any(map(WNID.fullmatch, class_names)) and not all(map(WNID.fullmatch, class_names)):
        names = tuple(printable(name) for name in class_names if not WNID.fullmatch(name))
        text = "Classes that are no wnids among others that are; their place in the order may surprise."
        yield Finding("mixed-names", "warning", text, len(names), names[:MAX_NAMED])


def find_misplaced(splits: Splits, class_names: Sequence[str]) -> Iterator[Finding]:
    """Finds images whose names say that they belong into another class.

    Training images of ImageNet begin with their wnid. Those of validation have a number, whose label is
    known; who sorts them by ILSVRC2012_ID as if it were the place among the sorted wnids gets all wrong.
    """
    for split, images in splits.items():
        if not isinstance(images, FolderSplit):
            continue
        wrong: list[str] = []
        count = 0
        for number in range(len(images)):
            file = images.index.file(number).rpartition("/")[2]
            wnid = _belongs_to(file)
            if wnid is not None and wnid != class_names[images.label(number)]:
                count += 1
                if len(wrong) < MAX_NAMED:
                    wrong.append(f"{name_image(splits, split, number)} belongs into {wnid}")
        if count:
            text = (
                f"Images of {split} in another class than their names say: they would teach wrong labels, or "
                "be counted as errors. Were they sorted by ILSVRC2012_ID in place of the wnid?"
            )
            yield Finding("misplaced", "error", text, count, tuple(wrong))


def _belongs_to(file: str) -> str | None:
    """Returns the wnid that an image's name stands for; None if it does not say."""
    if file[9:10] == "_" and WNID.match(file):
        return file[:9]
    found = VAL_NAME.match(file)
    labels = val_labels()
    return wnids()[labels[int(found[1]) - 1]] if found and 1 <= int(found[1]) <= len(labels) else None
