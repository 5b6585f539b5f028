"""The list of a folder's files: kept, checked, compact, and never wrong."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datamodules.cache import cache_folder
from datamodules.index import ARRAYS, CHECKSUMS, FileIndex, build_index, read_index
from datamodules.problems import Reading, Root, printable
from tests.refusals import refused

CLASSES = ("n01440764", "n02102040", "n03000684")
LONG_AGO_S = 1_600_000_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def train(tmp_path: Path) -> Path:
    for name in CLASSES:
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in (10, 9, 100):
            (tmp_path / "train" / name / f"{name}_{number}.JPEG").touch()
    settle(tmp_path / "train")
    return tmp_path / "train"


def settle(folder: Path) -> None:
    """Makes the class folders look as if nothing had changed for years."""
    for number, place in enumerate(sorted(folder.iterdir())):
        os.utime(place, (LONG_AGO_S, LONG_AGO_S + number))


def names(index: FileIndex) -> list[tuple[str, int]]:
    return [(index.file(number), int(index.labels[number])) for number in range(len(index))]


def is_mapped(index: FileIndex) -> bool:
    return all(isinstance(getattr(index, name).base, np.memmap) for name in ARRAYS)


def on_disk(folder: Path) -> list[tuple[str, int]]:
    return [
        (f"{name}/{file.name}", label)
        for label, name in enumerate(CLASSES)
        for file in sorted((folder / name).iterdir())
    ]


def test_names_are_sorted_and_kept(train: Path, own_cache: Path) -> None:
    first = read_index(train, CLASSES)
    assert names(first) == on_disk(train) and len(first) == 9
    assert first.place is not None and own_cache in first.place.parents
    assert is_mapped(first)
    written = {file: file.stat().st_mtime_ns for file in first.place.iterdir()}
    again = read_index(train, CLASSES)
    assert again.place == first.place and names(again) == names(first)
    assert written == {file: file.stat().st_mtime_ns for file in first.place.iterdir()}
    assert not list(first.place.parent.glob(".new-*"))


def add(folder: Path) -> None:
    (folder / CLASSES[1] / "a.JPEG").touch()


def remove(folder: Path) -> None:
    (folder / CLASSES[2] / f"{CLASSES[2]}_9.JPEG").unlink()


def rename(folder: Path) -> None:
    file = folder / CLASSES[0] / f"{CLASSES[0]}_9.JPEG"
    file.rename(file.with_name("z.JPEG"))


@pytest.mark.parametrize("change", [add, remove, rename])
def test_a_change_is_seen_at_once(change: Callable[[Path], None], train: Path) -> None:
    before = names(read_index(train, CLASSES))
    change(train)
    fresh = read_index(train, CLASSES)
    assert names(fresh) == on_disk(train) != before
    assert fresh.place is None, "what changed a moment ago may change again within the clock's tick"
    settle(train)
    os.utime(train / CLASSES[1], (LONG_AGO_S + 99, LONG_AGO_S + 99))
    kept = read_index(train, CLASSES)
    assert names(kept) == on_disk(train) and kept.place is not None


def cut_off(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def scribble(file: Path) -> None:
    file.write_bytes(b"\x93NUMPY nonsense")


@pytest.mark.parametrize("damage", [cut_off, flip_a_bit, scribble, Path.unlink])
@pytest.mark.parametrize("name", [*(f"{array}.npy" for array in ARRAYS), CHECKSUMS])
def test_a_damaged_one_is_made_anew(name: str, damage: Callable[[Path], None], train: Path) -> None:
    place = read_index(train, CLASSES).place
    assert place is not None
    damage(place / name)
    mended = read_index(train, CLASSES)
    assert names(mended) == on_disk(train) and mended.place == place
    assert names(pickle.loads(pickle.dumps(mended))) == on_disk(train)


def test_no_copy_travels_to_workers(train: Path) -> None:
    index = read_index(train, CLASSES)
    sent = pickle.dumps(index)
    assert b"JPEG" not in sent
    assert is_mapped(pickle.loads(sent))
    assert index.place is not None
    shutil.rmtree(index.place)
    with refused(Reading.INDEX_GONE, folder=index.place):
        pickle.loads(sent)
    listed = FileIndex.of(["a/1.JPEG", "b/2.JPEG"], [0, 1])
    assert names(pickle.loads(pickle.dumps(listed))) == [("a/1.JPEG", 0), ("b/2.JPEG", 1)]


@pytest.mark.parametrize("obstacle", ["file", "no home"])
def test_works_where_nothing_can_be_kept(
    obstacle: str, train: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if obstacle == "file":
        own_cache.write_text("not a folder")
    else:
        for variable in ("ARENA_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
        assert cache_folder() is None
    index = read_index(train, CLASSES)
    assert names(index) == on_disk(train) and index.place is None


def test_names_that_are_no_text_and_what_is_no_file(train: Path) -> None:
    place = train / CLASSES[0]
    for name in (b"new\nline.JPEG", b"caf\xe9.JPEG", "café.JPEG".encode()):
        (place / os.fsdecode(name)).touch()
    (place / "loop").symlink_to(place / "loop")
    (place / "up").symlink_to(train)
    (place / "broken").symlink_to(train / "nowhere")
    (place / "link.JPEG").symlink_to(train / CLASSES[1] / f"{CLASSES[1]}_9.JPEG")
    os.mkfifo(place / "pipe")
    (place / ".hidden").touch()
    settle(train)
    files = [name for name, label in names(read_index(train, CLASSES)) if label == 0]
    odd = {f"{CLASSES[0]}/{os.fsdecode(name)}" for name in (b"new\nline.JPEG", b"caf\xe9.JPEG")}
    assert odd | {f"{CLASSES[0]}/café.JPEG", f"{CLASSES[0]}/link.JPEG"} < set(files)
    assert len(files) == 3 + 4
    assert all((train / file).is_file() for file in files)
    assert files == sorted(files, key=os.fsencode)


def test_names_for_people() -> None:
    assert printable(b"caf\xe9\n.JPEG") == r"caf\xe9\n.JPEG"
    assert printable(Path("images") / "café 1.JPEG") == "images/café 1.JPEG"


def test_what_changed_longer_ago_than_a_month_is_forgotten(train: Path) -> None:
    old = read_index(train, CLASSES).place
    assert old is not None
    add(train)
    settle(train)
    os.utime(train / CLASSES[1], (LONG_AGO_S + 99, LONG_AGO_S + 99))
    read_index(train, CLASSES)
    assert old.is_dir(), "processes on other machines may still read it"
    os.utime(old, (LONG_AGO_S, LONG_AGO_S))
    os.utime(train / CLASSES[1], (LONG_AGO_S + 100, LONG_AGO_S + 100))
    read_index(train, CLASSES)
    assert not old.exists()


def test_a_class_without_images(train: Path) -> None:
    for file in (train / CLASSES[1]).iterdir():
        file.unlink()
    with refused(Root.EMPTY_CLASS, folder=train / CLASSES[1]):
        build_index(train, CLASSES)
