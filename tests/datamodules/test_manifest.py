"""A manifest is equal for equal images, wherever they lie, and changes with them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import manifest, sources
from datamodules.index import FileIndex
from datamodules.manifest import compute_manifest, digest_files
from tests.datamodules.conftest import CLASSES

EMBEDDED = [key for key, source in sources.available().items() if not source.needs_root]


def of(root: Path) -> str:
    return compute_manifest(sources.get("folder").open(root))


def rename(folder: Path) -> None:
    file = folder / "train" / CLASSES[0] / f"{CLASSES[0]}_1.JPEG"
    file.rename(file.with_name("a.JPEG"))


def grow(folder: Path) -> None:
    with (folder / "val" / CLASSES[0] / f"{CLASSES[0]}_1.JPEG").open("ab") as stream:
        stream.write(b"more")


def swap_classes(folder: Path) -> None:
    one, other = folder / "train" / CLASSES[0], folder / "train" / CLASSES[1]
    one.rename(folder / "aside")
    other.rename(one)
    (folder / "aside").rename(other)


def remove(folder: Path) -> None:
    (folder / "train" / CLASSES[2] / f"{CLASSES[2]}_3.JPEG").unlink()


def test_a_copy_has_the_same(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    for file in sorted((file for file in folder.rglob("*.JPEG")), reverse=True):
        place = copy / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    assert of(copy) == of(folder)


@pytest.mark.parametrize("change", [rename, grow, swap_classes, remove])
def test_a_change_changes_it(change: Callable[[Path], None], folder: Path) -> None:
    before = of(folder)
    change(folder)
    assert of(folder) != before


def test_the_order_of_listing_does_not_matter(folder: Path) -> None:
    files = [f"{name}/{name}_{number}.JPEG" for name in CLASSES for number in range(4)]
    labels = [CLASSES.index(file.split("/")[0]) for file in files]
    forward, backward = FileIndex.of(files, labels), FileIndex.of(files[::-1], labels[::-1])
    assert digest_files(folder / "train", forward) == digest_files(folder / "train", backward)
    mislabelled = FileIndex.of(files, [*labels[1:], 0])
    assert digest_files(folder / "train", forward) != digest_files(folder / "train", mislabelled)


@pytest.mark.parametrize("slow_s", [0.0, 1.0])
def test_many_files_on_slow_and_fast_disks(
    slow_s: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of(folder)
    monkeypatch.setattr(manifest, "CHUNK", 5)
    monkeypatch.setattr(manifest, "SLOW_S", slow_s)
    assert of(folder) == whole
    assert digest_files(folder, FileIndex.of(["gone.JPEG"], [0]))


def test_kept_with_the_index(folder: Path) -> None:
    for place in (*(folder / "train").iterdir(), *(folder / "val").iterdir()):
        os.utime(place, (1_600_000_000, 1_600_000_000))
    before = of(folder)
    grow(folder)
    assert of(folder) == before, "an image overwritten in place is found by a check, not at every start"
    assert (sources.get("folder").open(folder).train.index.place / "digest").is_file()


@pytest.mark.parametrize("key", EMBEDDED)
def test_images_in_memory(key: str) -> None:
    first, again = sources.get(key).images(None), sources.get(key).images(None)
    assert compute_manifest(first) == compute_manifest(again) and len(compute_manifest(first)) == 64
    assert first.train.digest() != first.val.digest()
