"""Findings from the readings of all images: unusual images, duplicates, and files that are ignored."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.checks.kinds import KINDS, Kind
from datamodules.checks.labelling import find_mislabelled, name_image
from datamodules.checks.readings import Readings
from datamodules.checks.reports import MAX_NAMED, Finding
from datamodules.images import Split
from datamodules.index import list_names
from datamodules.problems import printable
from datamodules.sources.folder import FolderSplit

# Equal pictures that a finding names.
MAX_EQUAL = 4
SEVERITIES = ("error", "warning", "note")

DUPLICATES: dict[str, Kind] = {
    "leak": Kind("error", "Pictures of val that are also in train: the validation error is too low."),
    "contradiction": Kind(
        "error", "Equal pictures of one split in different classes: at least one of the labels is wrong."
    ),
    "duplicate": Kind("note", "Equal pictures of one class in the same split: they count more than once."),
}
Splits = Mapping[str, Split]
AllReadings = Mapping[str, Readings]


def find_all(splits: Splits, readings: AllReadings, class_names: Sequence[str]) -> tuple[Finding, ...]:
    """Return all findings, the most severe first."""
    found = [
        *find_mislabelled(splits, class_names),
        *find_duplicates(splits, readings),
        *find_odd(splits, readings),
        *find_ignored(splits, class_names),
    ]
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))


def list_labels(split: Split) -> NDArray[np.int32]:
    """Return the labels of all images of a split."""
    if isinstance(split, FolderSplit):
        return split.index.labels
    return np.fromiter(map(split.label, range(len(split))), np.int32, len(split))


def find_odd(splits: Splits, readings: AllReadings) -> Iterator[Finding]:
    """Find single images that are unreadable or unusual."""
    for kind, (severity, text) in KINDS.items():
        numbers = [(split, int(number)) for split in splits for number in readings[split].having(kind)]
        if numbers:
            names = []
            for split, number in numbers[:MAX_NAMED]:
                reason = readings[split].errors.get(number, "")
                names.append(
                    name_image(splits, split, number) + (f" ({printable(reason)})" if reason else "")
                )
            yield Finding(kind, severity, text, len(numbers), tuple(names))


def find_duplicates(splits: Splits, readings: AllReadings) -> Iterator[Finding]:
    """Find equal files, and different files with equal pixels.

    Copies that were resized, cropped, mirrored or compressed again count as different pictures.
    """
    num_train = len(splits["train"])
    is_val = np.arange(num_train + len(splits["val"])) >= num_train
    labels = np.concatenate([list_labels(splits[split]) for split in ("train", "val")])
    digests, prints = (
        np.concatenate([readings[split].rows[field] for split in ("train", "val")])
        for field in ("digest", "fingerprint")
    )

    def name(place: int) -> str:
        if is_val[place]:
            return name_image(splits, "val", place - num_train)
        return name_image(splits, "train", place)

    def classify(group: list[int]) -> Iterator[tuple[str, list[int]]]:
        parts = [[place for place in group if is_val[place] == half] for half in (False, True)]
        contradictory = [part for part in parts if len(set(labels[part].tolist())) > 1]
        if all(parts):
            yield "leak", group
        elif not contradictory:
            yield "duplicate", group
        for part in contradictory:
            yield "contradiction", part

    def choose(group: list[int]) -> list[int]:
        """Choose some of many equal pictures, from all splits and classes if possible."""
        of_split = {bool(is_val[place]): place for place in reversed(group)}
        of_class = {int(labels[place]): place for place in reversed(group)}
        chosen = dict.fromkeys([*of_split.values(), *reversed(of_class.values()), *group])
        return sorted(list(chosen)[:MAX_EQUAL])

    def is_exact(group: list[int]) -> bool:
        return len({digests[place].tobytes() for place in group}) == 1

    classified = [pair for group in _group(prints) for pair in classify(group)]
    for kind, (severity, text) in DUPLICATES.items():
        found = [group for group_kind, group in classified if group_kind == kind]
        if found:
            names = tuple(
                " = ".join(map(name, choose(group))) + ("" if is_exact(group) else " (equal pixels)")
                for group in found[:MAX_NAMED]
            )
            count = sum(int(is_val[group].sum()) if kind == "leak" else len(group) - 1 for group in found)
            yield Finding(kind, severity, text, count, names)


def _group(keys: NDArray[np.void]) -> list[list[int]]:
    """Return groups of the indices of equal keys; unknown keys, which are zero, are left out."""
    first = np.ascontiguousarray(keys).view(np.uint64).reshape(len(keys), -1)[:, 0]
    _, inverse, counts = np.unique(first, return_inverse=True, return_counts=True)
    groups: dict[bytes, list[int]] = {}
    for place in np.flatnonzero(counts[inverse] > 1):
        key = keys[place].tobytes()
        if any(key):
            groups.setdefault(key, []).append(int(place))
    return [group for group in groups.values() if len(group) > 1]


def find_ignored(splits: Splits, class_names: Sequence[str]) -> Iterator[Finding]:
    """Find entries of the folders that are not used: folders, pipes, broken links, hidden files."""
    odd: list[str] = []
    hidden: list[str] = []
    for images in splits.values():
        if not isinstance(images, FolderSplit) or images.index.file(0).count(os.sep) != 1:
            continue  # the images are not directly in the class folders
        for place, is_class in (
            (images.folder, False),
            *((images.folder / name, True) for name in class_names),
        ):
            start = place.relative_to(images.folder.parent)
            odd += [
                printable(start / os.fsdecode(name))
                for name in list_names(place, lambda entry: _is_ignored(entry, is_class))  # noqa: B023 - at once
            ]
            hidden += [printable(start / name.name) for name in _list_hidden(place)]
    if odd:
        text = "Folders, pipes, broken links or misplaced files in place of images; they are not used."
        yield Finding("ignored", "warning", text, len(odd), tuple(odd[:MAX_NAMED]))
    if hidden:
        text = "Hidden files, whose names start with a dot; they are not used."
        yield Finding("hidden", "note", text, len(hidden), tuple(hidden[:MAX_NAMED]))


def _is_ignored(entry: "os.DirEntry[bytes]", is_class: bool) -> bool:
    try:
        return not (entry.is_file() if is_class else entry.is_dir())
    except OSError:
        return True


def _list_hidden(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(entry.name) for entry in entries if entry.name.startswith(".")]
