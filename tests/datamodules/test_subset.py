"""Fewer classes of a source: which ones, their labels, and what makes no sense."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning.cli import LightningArgumentParser

from datamodules import sources
from datamodules.imagenet import ImageNetDataModule
from datamodules.images import Parts, StreamedSplit
from datamodules.problems import Argument, LitData
from datamodules.sources.in_memory import MemorySplit
from datamodules.subset import Classes, choose_classes, parse_classes, write_classes
from problems import Code
from tests.datamodules.conftest import CLASSES
from tests.refusals import refused


def labels_of(data: ImageNetDataModule) -> list[int]:
    split = data.images.train
    return [split.label(index) for index in range(len(split))]


@pytest.mark.parametrize(
    ("classes", "chosen"),
    [
        (2, [0, 1]),
        (3, [0, 1, 2]),
        (None, [0, 1, 2]),
        ([CLASSES[2], CLASSES[0]], [0, 2]),
        ([2, 1], [1, 2]),
        ([0, CLASSES[2]], [0, 2]),
    ],
)
def test_chosen_classes_keep_their_order_and_start_from_0(
    classes: Any, chosen: list[int], folder: Path
) -> None:
    data = ImageNetDataModule(source="folder", root=str(folder), batch_size=2, classes=classes)
    assert data.images.class_names == tuple(CLASSES[label] for label in chosen)
    assert data.num_classes == len(chosen)
    assert labels_of(data) == [label for label in range(len(chosen)) for _ in range(4)]
    assert (data.train_images, data.val_images) == (4 * len(chosen), 2 * len(chosen))
    for split in (data.images.train, data.images.val):
        for index in range(len(split)):
            channel = split.read(index).float().mean((1, 2)).argmax()
            assert channel == chosen[split.label(index)], "the fixture's classes differ by colour"


def test_a_subset_is_trained_on(folder: Path) -> None:
    data = ImageNetDataModule(
        source="folder", root=str(folder), image_size=32, batch_size=4, classes=[CLASSES[1], CLASSES[2]]
    )
    labels = torch.cat([data.on_before_batch_transfer(batch, 0)[1] for batch in data.train_dataloader()])
    assert labels.bincount().tolist() == [4, 4]


def test_what_is_known_of_the_pixels_stays(folder: Path) -> None:
    whole, part = (ImageNetDataModule(classes=classes) for classes in (None, 5))
    assert (part.images.mean, part.images.std) == (whole.images.mean, whole.images.std)
    assert part.images.can_mirror is False


def test_another_choice_is_other_data(folder: Path) -> None:
    choices = (None, 2, [0, 1], [0, 2])
    settings: Any = {"source": "folder", "root": str(folder), "batch_size": 2}
    whole, first, same, other = (ImageNetDataModule(**settings, classes=one).manifest for one in choices)
    assert first == same and len({whole, first, other}) == 3


def test_folders_called_by_numbers_are_found_by_name(folder: Path) -> None:
    for split in ("train", "val"):
        for name, number in zip(CLASSES, (1, 10, 2), strict=True):
            (folder / split / name).rename(folder / split / str(number))
    data = ImageNetDataModule(source="folder", root=str(folder), batch_size=2, classes=[2, 10])
    assert data.images.class_names == ("10", "2")


@pytest.mark.parametrize(
    ("classes", "code", "values"),
    [
        (1, Argument.TOO_MANY_CLASSES, {"value": 1, "number": 10}),
        (0, Argument.TOO_MANY_CLASSES, {"value": 0}),
        (11, Argument.TOO_MANY_CLASSES, {"value": 11}),
        ([], Argument.TOO_FEW_CLASSES, {"number": 0}),
        ([3], Argument.TOO_FEW_CLASSES, {"number": 1}),
        ([3, "3"], Argument.CLASS_TWICE, {"name": "3"}),
        ([3, "cat"], Argument.NO_CLASS, {"name": "cat"}),
        ([3, 10], Argument.NO_CLASS, {"name": 10}),
        ([3, -1], Argument.NO_CLASS, {"name": -1}),
    ],
)
def test_classes_that_make_no_sense(classes: Any, code: Code, values: dict[str, Any]) -> None:
    with refused(code, **values):
        ImageNetDataModule(classes=classes)


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("", None),
        ("  ", None),
        ("100", 100),
        ("n01440764, n01443537", ("n01440764", "n01443537")),
        ("[n01440764,n01443537]", ("n01440764", "n01443537")),
        ("golden retriever\ntench", ("golden retriever", "tench")),
        ("0,5,", (0, 5)),
        ("5,", (5,)),
        ("tench", ("tench",)),
    ],
)
def test_classes_as_one_types_them(text: str, classes: Classes | None) -> None:
    assert parse_classes(text) == classes
    assert parse_classes(write_classes(classes)) == classes


@pytest.mark.parametrize(
    ("argument", "classes"),
    [("100", 100), ("[n01440764,n01443537]", ["n01440764", "n01443537"]), ("[0,5]", [0, 5]), ("null", None)],
)
def test_the_command_line_of_a_training(argument: str, classes: Any) -> None:
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(ImageNetDataModule, "data")
    assert parser.parse_args([f"--data.classes={argument}"]).data.classes == classes


class InParts(MemorySplit):
    """Digits that come in three parts; remembers which images it should expect."""

    expected: list[int]

    @property
    def parts(self) -> Parts:
        return Parts(np.array([500, 1000, 1433]), window=700)

    def expect(self, index: int) -> None:
        self.expected.append(index)


def test_fewer_classes_still_come_in_parts() -> None:
    images = sources.get("digits").images(None)
    whole = InParts(images.train.pixels, images.train.labels)
    object.__setattr__(whole, "expected", [])
    train = choose_classes(replace(images, train=whole), [3, 8]).train
    assert isinstance(train, StreamedSplit) and isinstance(whole, StreamedSplit)
    numbers = [index for index in range(len(whole)) if whole.label(index) in (3, 8)]
    ends = [sum(number < end for number in numbers) for end in (500, 1000, 1433)]
    assert train.parts is not None and train.parts.ends.tolist() == ends and ends[-1] == len(train)
    assert train.parts.window == 700 * len(train) // 1433
    train.expect(7)
    assert whole.expected == [numbers[7]]


def test_labels_that_would_have_to_be_fetched_are_not() -> None:
    images = sources.get("digits").images(None)
    with refused(LitData.NO_LIST_OF_LABELS):
        choose_classes(replace(images, train=InParts(images.train.pixels, None)), 5)
