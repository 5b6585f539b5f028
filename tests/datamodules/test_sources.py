"""What each source holds, and what is said when a folder is not as it must be."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import sources
from datamodules.imagenet import ImageNetDataModule
from datamodules.problems import Argument, Reading, Root
from problems import Code
from tests.datamodules.conftest import CLASSES
from tests.refusals import refused

LISTED = [
    "digits",
    "cifar10",
    "tiny-imagenet",
    "imagenette",
    "imagenet",
    "folder",
    "packed",
    "litdata",
    "synthetic",
]
Expected = tuple[Code, dict[str, Any]]
EMBEDDED = [key for key, source in sources.available().items() if not source.needs_root]


def test_sources_are_found_from_small_to_large() -> None:
    assert list(sources.available()) == LISTED
    with refused(Argument.NO_SOURCE, key="imagnet", known=", ".join(LISTED)):
        sources.get("imagnet")


def test_the_readme_knows_every_source() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [key for key in sources.available() if f"| `{key}` | " not in readme] == []


def test_listing_sources_needs_no_torch() -> None:
    code = (
        "import sys; from datamodules import sources; sources.available(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("key", EMBEDDED)
def test_embedded_sources_give_what_they_promise(key: str) -> None:
    images = sources.get(key).images(None)
    for split in (images.train, images.val):
        for index in (0, len(split) // 2, len(split) - 1):
            pixels = split.read(index)
            assert pixels.dtype == torch.uint8 and pixels.shape[0] == 3 and pixels.ndim == 3
            assert 0 <= split.label(index) < len(images.class_names)
    assert all(0 < deviation < 1 for deviation in images.std)


@pytest.mark.parametrize("key", [key for key in sources.available() if key not in EMBEDDED])
def test_a_folder_that_cannot_be_opened(key: str, tmp_path: Path) -> None:
    # What stands for one without permission is no name that a file can have: root has every permission.
    with refused(Reading.FAILED, said="File name too long"):
        sources.get(key).images(str(tmp_path / (300 * "x")))


def test_digits_are_all_there_and_split_by_class() -> None:
    images = sources.get("digits").images(None)
    assert (len(images.train), len(images.val)) == (1433, 364)
    for split, share in ((images.train, 0.8), (images.val, 0.2)):
        counts = torch.bincount(torch.tensor([split.label(index) for index in range(len(split))]))
        # scikit-learn's description of the set gives 174 to 183 images a class.
        assert all(174 * share - 1 <= count <= 183 * share + 1 for count in counts.tolist())
    seen = {tuple(images.train.read(index).flatten().tolist()) for index in range(len(images.train))}
    val = [tuple(images.val.read(index).flatten().tolist()) for index in range(len(images.val))]
    assert not seen.intersection(val)
    assert not images.can_mirror


def test_a_folder_is_listed_by_sorted_class(folder: Path) -> None:
    (folder / "train" / CLASSES[0] / ".hidden").write_text("no image")
    (folder / "train" / ".DS_Store").write_text("no class")
    images = sources.get("folder").open(folder)
    assert images.class_names == CLASSES
    assert (len(images.train), len(images.val)) == (12, 6)
    assert [images.train.label(index) for index in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    for index in range(12):
        means = images.train.read(index).float().mean((1, 2))
        assert means.argmax() == images.train.label(index)


def remove_train(folder: Path) -> Expected:
    shutil.rmtree(folder / "train")
    return Root.NO_SPLIT, {"folder": folder / "train"}


def remove_everything(folder: Path) -> Expected:
    shutil.rmtree(folder)
    return Root.MISSING, {"root": folder}


def empty_a_class(folder: Path) -> Expected:
    for file in (folder / "val" / CLASSES[1]).iterdir():
        file.unlink()
    return Root.EMPTY_CLASS, {"folder": folder / "val" / CLASSES[1]}


def drop_a_class_of_val(folder: Path) -> Expected:
    shutil.rmtree(folder / "val" / CLASSES[2])
    return Root.CLASSES_DIFFER, {"split": "train", "other": "val", "some": CLASSES[2]}


def add_classes_to_val(folder: Path) -> Expected:
    for number in range(5):
        shutil.copytree(folder / "val" / CLASSES[0], folder / "val" / f"n9{number}")
    return Root.CLASSES_DIFFER, {"split": "val", "other": "train", "some": "n90, n91, n92 and 2 more"}


def flatten(folder: Path) -> Expected:
    for name in CLASSES:
        shutil.rmtree(folder / "train" / name)
    (folder / "train" / "a.JPEG").write_bytes(b"")
    return Root.NO_CLASSES, {"folder": folder / "train"}


def keep_one_class(folder: Path) -> Expected:
    for name in CLASSES[1:]:
        shutil.rmtree(folder / "train" / name)
        shutil.rmtree(folder / "val" / name)
    return Root.ONE_CLASS, {"name": CLASSES[0]}


@pytest.mark.parametrize(
    "break_it",
    [
        remove_train,
        remove_everything,
        empty_a_class,
        drop_a_class_of_val,
        add_classes_to_val,
        flatten,
        keep_one_class,
    ],
)
def test_what_is_wrong_with_a_folder(break_it: Callable[[Path], Expected], folder: Path) -> None:
    code, values = break_it(folder)
    with refused(code, **values):
        ImageNetDataModule(source="folder", root=str(folder), batch_size=2)


def test_a_folder_has_to_be_named() -> None:
    with refused(Root.NOT_NAMED):
        ImageNetDataModule(source="folder")
    with refused(Argument.HAS_NO_ROOT, source="digits"):
        ImageNetDataModule(source="digits", root="/tmp")
