"""Finding wrong labels: classes in an unexpected order, and images in the wrong class."""

import re
from collections.abc import Iterator, Mapping, Sequence

from datamodules.checks.reports import MAX_NAMED, Finding
from datamodules.ilsvrc2012.labels import WNID, val_labels, wnids
from datamodules.images import Split
from datamodules.problems import printable
from datamodules.sources.folder import FolderSplit

VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.", re.ASCII)

Splits = Mapping[str, Split]


def find_mislabelled(splits: Splits, class_names: Sequence[str]) -> Iterator[Finding]:
    """Find labels that differ from those the user expects.

    The content of the pictures is not considered: two classes with swapped images are only found if the file
    names contain the class.
    """
    yield from find_order(class_names)
    yield from find_misplaced(splits, class_names)


def name_image(splits: Splits, split: str, number: int) -> str:
    """Return an image's name for people, relative to the root."""
    images = splits[split]
    if isinstance(images, FolderSplit):
        return printable(f"{images.folder.name}/{images.index.file(number)}")
    return f"{split} image {number}"


def find_order(class_names: Sequence[str]) -> Iterator[Finding]:
    """Find class names whose sorted order, which determines the labels, is unexpected."""
    if all(name.isdecimal() for name in class_names):
        by_number = sorted(class_names, key=int)
        if list(class_names) != by_number:
            label = next(place for place, name in enumerate(class_names) if name != by_number[place])
            text = (
                f"The classes are numbers, but their labels are in alphabetical order: label {label} is the "
                f"class {class_names[label]!r}, not {by_number[label]!r}; rename them to 000, 001, ... if "
                "you want to use published weights."
            )
            yield Finding("numeric-order", "warning", text, len(class_names), tuple(class_names[:MAX_NAMED]))
        if len(class_names) == 1000 and set(map(int, class_names)) == set(range(1, 1001)):
            text = (
                "The classes are the numbers 1 to 1000, perhaps ILSVRC2012_ID: published weights expect the "
                "order of the wnids, which is different; name the folders by wnid."
            )
            yield Finding("ilsvrc-ids", "error", text, 1000)
    elif len(class_names) == 1000 and all(map(WNID.fullmatch, class_names)):
        others = set(class_names).difference(wnids())
        if others:
            text = (
                "Classes that are not in ILSVRC2012, although there are 1,000: published weights do not fit."
            )
            yield Finding("other-wnids", "warning", text, len(others), tuple(sorted(others)[:MAX_NAMED]))
    elif any(map(WNID.fullmatch, class_names)) and not all(map(WNID.fullmatch, class_names)):
        names = tuple(printable(name) for name in class_names if not WNID.fullmatch(name))
        text = "Class names that are not wnids, although others are; their order may be unexpected."
        yield Finding("mixed-names", "warning", text, len(names), names[:MAX_NAMED])


def find_misplaced(splits: Splits, class_names: Sequence[str]) -> Iterator[Finding]:
    """Find images whose names belong to another class.

    Names of ImageNet's training images start with the wnid. Those of validation images have a number, whose
    label is known: all labels are wrong if the images were sorted by ILSVRC2012_ID instead of the wnid's
    index.
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
                    wrong.append(f"{name_image(splits, split, number)} belongs to {wnid}")
        if count:
            text = (
                f"Images of {split} whose names belong to another class: their labels are wrong. Were they "
                "sorted by ILSVRC2012_ID instead of the wnid?"
            )
            yield Finding("misplaced", "error", text, count, tuple(wrong))


def _belongs_to(file: str) -> str | None:
    """Return the wnid of an image according to its name; None if the name contains none."""
    if file[9:10] == "_" and WNID.match(file):
        return file[:9]
    found = VAL_NAME.match(file)
    labels = val_labels()
    return wnids()[labels[int(found[1]) - 1]] if found and 1 <= int(found[1]) <= len(labels) else None
