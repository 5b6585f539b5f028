"""A check finds what is wrong with images, whatever lies in their folders, and always says the same."""

import os
import shutil
import signal
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import sources
from datamodules.__main__ import main
from datamodules.checks import checking
from datamodules.checks.checking import check
from datamodules.checks.labelling import find_mislabelled
from datamodules.checks.readings import CHUNK
from datamodules.checks.reports import CheckReport, Finding, read_report
from datamodules.ilsvrc2012.labels import val_labels, wnids
from datamodules.images import Images
from datamodules.index import FileIndex
from datamodules.pixels.decoding import MAX_BYTES
from datamodules.progress import Progress, read_progress
from datamodules.sources.folder import FolderSplit
from tests.datamodules.conftest import CLASSES, cut_off, empty, picture, scribble


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(folder: Path) -> Path:
    """One whose validation images are none of the training images."""
    for label, name in enumerate(CLASSES):
        for number in range(2):
            picture(label, 50 + number).save(folder / "val" / name / f"{name}_{number}.JPEG", quality=95)
    return folder


def check_folder(root: Path, num_workers: int = 1) -> CheckReport:
    return check("folder", str(root), sources.get("folder").open(root), Progress(), num_workers)


def found(report: CheckReport) -> dict[str, Finding]:
    assert [finding.severity for finding in report.findings] == sorted(
        (finding.severity for finding in report.findings), key=["error", "warning", "note"].index
    )
    return {finding.kind: finding for finding in report.findings}


def image_of(folder: Path, number: int = 0, split: str = "train", label: int = 0) -> Path:
    return folder / split / CLASSES[label] / f"{CLASSES[label]}_{number}.JPEG"


def test_sound_images(folder: Path) -> None:
    report = check_folder(folder)
    assert report.findings == () and report.class_names == CLASSES
    assert (report.train.num_images, report.train.per_class) == (12, (4, 4, 4))
    assert (report.val.num_images, report.val.per_class) == (6, (2, 2, 2))
    assert report.train.formats == {"JPEG": 12} and report.train.modes == {"RGB": 12}
    assert report.train.widths == (48,) * 7 and report.val.heights == (40,) * 7
    files = list((folder / "train").rglob("*.JPEG"))
    assert report.train.size_bytes == sum(file.stat().st_size for file in files)
    pixels = np.concatenate([np.asarray(Image.open(file)).reshape(-1, 3) for file in files]) / 255
    assert report.mean == pytest.approx(pixels.mean(0), rel=1e-12)
    assert report.std == pytest.approx(pixels.std(0), rel=1e-12)
    assert read_report("folder", folder) == report


def test_the_same_whatever_the_processes_and_the_place(folder: Path, tmp_path: Path) -> None:
    cut_off(image_of(folder, 1))
    for number in range(3 * CHUNK):
        picture(1, number, (9, 8)).save(folder / "train" / CLASSES[1] / f"{number}.png")
    first = check_folder(folder, 1)
    shutil.copytree(folder, tmp_path / "elsewhere")
    second = check_folder(tmp_path / "elsewhere", 3)
    assert replace(second, root=first.root, checked_at=0.0, duration_s=0.0) == replace(
        first, checked_at=0.0, duration_s=0.0
    )
    picture(2, 99).save(image_of(folder, 1))
    third = check_folder(folder)
    assert third.content != first.content and third.manifest != first.manifest


def save(image: Image.Image, kind: str, **options: Any) -> Callable[[Path], None]:
    return lambda file: image.save(file, kind, **options)


def rotated(file: Path) -> None:
    image = picture(0)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(file, "JPEG", exif=exif)


def corrupt(file: Path) -> None:
    picture(0, 1, (300, 300)).save(file, "JPEG")
    data = file.read_bytes()
    middle = len(data) // 2
    file.write_bytes(data[:middle] + b"\xff\xd5" + data[middle:])


def claim_bomb(file: Path) -> None:
    """A header that promises 40,000 x 40,000 pixels over a handful of bytes."""
    picture(1).save(file, "PNG")
    data = bytearray(file.read_bytes())
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    file.write_bytes(data)


def scan_forever(file: Path) -> None:
    picture(1).save(file, "JPEG", progressive=True)
    file.write_bytes(file.read_bytes()[:-2] + b"\xff\xda" * 1000 + b"\xff\xd9")


def grow_beyond_a_gigabyte(file: Path) -> None:
    os.truncate(file, 3 * 2**30)


def grow_beyond_what_training_reads(file: Path) -> None:
    os.truncate(file, MAX_BYTES + 1)


ODD: dict[str, list[Callable[[Path], None]]] = {
    "empty": [empty],
    "truncated": [cut_off],
    "no-image": [scribble],
    "bomb": [claim_bomb],
    "slow": [scan_forever],
    "large-file": [grow_beyond_a_gigabyte, grow_beyond_what_training_reads],
    "corrupt": [corrupt],
    "flat": [save(Image.new("RGB", (40, 30), (255, 255, 255)), "JPEG")],
    "deep": [save(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50), "PNG")],
    "suffix": [save(picture(0), "PNG"), save(picture(0), "WEBP")],
    "cmyk": [save(picture(0).convert("CMYK"), "JPEG")],
    "grey": [save(picture(0).convert("L"), "JPEG")],
    "transparent": [save(picture(0).convert("RGBA"), "PNG")],
    "animated": [save(picture(0), "GIF", save_all=True, append_images=[picture(1)])],
    "rotated": [rotated],
}
UNREADABLE = {"empty", "truncated", "no-image", "bomb", "slow", "large-file"}


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        pytest.param(kind, make, id=f"{kind}-{number}")
        for kind, makers in ODD.items()
        for number, make in enumerate(makers)
    ],
)
def test_odd_files_are_named(kind: str, make: Callable[[Path], None], folder: Path) -> None:
    make(image_of(folder, 2))
    report = check_folder(folder)
    finding = found(report)[kind]
    name = f"train/{CLASSES[0]}/{CLASSES[0]}_2.JPEG"
    assert finding.count == 1 and finding.names[0].split(" (")[0] == name
    assert report.train.num_unreadable == (kind in UNREADABLE)
    assert set(found(report)) <= {kind, "suffix"}


def test_what_nobody_reads_is_named(folder: Path) -> None:
    place = folder / "train" / CLASSES[0]
    os.mkfifo(place / "pipe")
    (place / "loop").symlink_to(place / "loop")
    (place / "deeper").mkdir()
    (place / "up").symlink_to(folder / "train")
    (folder / "train" / "list.txt").touch()
    (place / ".hidden").touch()
    picture(0, 77).save(place / os.fsdecode(b"caf\xe9\n.JPEG"))
    report = check_folder(folder)
    start = f"train/{CLASSES[0]}"
    assert sorted(found(report)["ignored"].names) == sorted(
        [f"{start}/pipe", f"{start}/loop", f"{start}/deeper", f"{start}/up", "train/list.txt"]
    )
    assert found(report)["hidden"].names == (f"{start}/.hidden",)
    cut_off(place / os.fsdecode(b"caf\xe9\n.JPEG"))
    assert found(check_folder(folder))["truncated"].names[0].startswith(rf"{start}/caf\xe9\n.JPEG (")


def test_duplicates(folder: Path) -> None:
    shutil.copyfile(image_of(folder, 0), folder / "val" / CLASSES[0] / "copy.JPEG")
    Image.open(image_of(folder, 1)).save(folder / "val" / CLASSES[0] / "other.png")
    shutil.copyfile(image_of(folder, 2), folder / "train" / CLASSES[1] / "copy.JPEG")
    shutil.copyfile(image_of(folder, 3), folder / "train" / CLASSES[0] / "twice.JPEG")
    Image.open(image_of(folder, 0, label=2)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
        folder / "val" / CLASSES[2] / "mirrored.png"
    )
    kinds = found(check_folder(folder))
    start = f"train/{CLASSES[0]}/{CLASSES[0]}"
    assert kinds["leak"].names == (
        f"{start}_0.JPEG = val/{CLASSES[0]}/copy.JPEG",
        f"{start}_1.JPEG = val/{CLASSES[0]}/other.png (equal pixels)",
    )
    assert kinds["leak"].count == 2 and kinds["leak"].severity == "error"
    assert kinds["contradiction"].names == (f"{start}_2.JPEG = train/{CLASSES[1]}/copy.JPEG",)
    assert kinds["duplicate"].names == (f"{start}_3.JPEG = train/{CLASSES[0]}/twice.JPEG",)


def test_of_many_equal_pictures_one_of_each_split_is_named(folder: Path) -> None:
    for label in range(3):
        for number in range(6):
            shutil.copyfile(image_of(folder, 0), folder / "train" / CLASSES[label] / f"a{number}.JPEG")
    shutil.copyfile(image_of(folder, 0), folder / "val" / CLASSES[0] / "copy.JPEG")
    kinds = found(check_folder(folder))
    assert set(kinds) == {"leak", "contradiction"} and kinds["leak"].count == 1
    # That some of their labels are wrong is told all the same.
    assert kinds["contradiction"].count == 18
    (names,) = kinds["leak"].names
    classes = [f"train/{CLASSES[label]}/a0.JPEG" for label in range(3)]
    assert names.split(" = ") == [*classes, f"val/{CLASSES[0]}/copy.JPEG"]


def mislabelled(class_names: list[str], files: dict[str, int] | None = None) -> dict[str, Finding]:
    index = FileIndex.of(list(files or {}), list((files or {}).values()))
    splits = {"val": FolderSplit(Path("images/val"), index)}
    return {finding.kind: finding for finding in find_mislabelled(splits, class_names)}


def test_classes_in_an_order_one_does_not_expect() -> None:
    assert mislabelled(["cat", "dog"]) == {} == mislabelled(list("0123456789"))
    kinds = mislabelled(sorted(str(number) for number in range(12)))
    assert "label 2 is the class '10', not '2'" in kinds["numeric-order"].text
    assert set(mislabelled(sorted(str(number) for number in range(1, 1001)))) == {
        "numeric-order",
        "ilsvrc-ids",
    }
    assert mislabelled(list(wnids())) == {}
    others = mislabelled([*wnids()[:-1], "n99999999"])
    assert others["other-wnids"].names == ("n99999999",)
    assert mislabelled(["cat", *wnids()[:5]])["mixed-names"].names == ("cat",)


def test_val_in_the_wrong_order() -> None:
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 50_001)]
    right = {f"{wnids()[label]}/{name}": label for name, label in zip(names, val_labels(), strict=True)}
    assert mislabelled(list(wnids()), right) == {}
    shifted = [(label + 1) % 1000 for label in val_labels()]
    wrong = {f"{wnids()[label]}/{name}": label for name, label in zip(names, shifted, strict=True)}
    finding = mislabelled(list(wnids()), wrong)["misplaced"]
    assert finding.count == 50_000 and "ILSVRC2012_ID" in finding.text
    few = list(wnids()[:10])
    assert mislabelled(few, {f"{few[1]}/{few[0]}_7.JPEG": 1})["misplaced"].names == (
        f"val/{few[1]}/{few[0]}_7.JPEG belongs to {few[0]}",
    )


class Interrupting(Progress):
    """One whose user presses Ctrl-C after some images."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after, self.seen = after, 0

    def advance(self, amount: int = 1) -> None:
        super().advance(amount)
        self.seen += amount
        if self.seen > self.after:
            raise KeyboardInterrupt


class Counting(Progress):
    """One that remembers how many images were read in all stages."""

    counted = 0

    def advance(self, amount: int = 1) -> None:
        super().advance(amount)
        self.counted += amount


@pytest.mark.parametrize("change", [False, True])
def test_an_interrupted_check_goes_on(change: bool, folder: Path, own_cache: Path) -> None:
    for number in range(3 * CHUNK):
        picture(1, number, (9, 8)).save(folder / "train" / CLASSES[1] / f"{number}.png")
    cut_off(image_of(folder, 1))
    images = sources.get("folder").open(folder)
    with pytest.raises(KeyboardInterrupt):
        check("folder", str(folder), images, Interrupting(CHUNK), 1)
    assert len(list((own_cache / "checks").iterdir())) == 1
    if change:
        picture(2, 99).save(image_of(folder, 1))
    progress = Counting()
    report = check("folder", str(folder), images, progress, 1)
    assert progress.counted == report.num_images - (0 if change else 2 * CHUNK)
    assert list((own_cache / "checks").iterdir()) == []
    whole = check_folder(folder, 2)
    assert replace(report, checked_at=0.0, duration_s=0.0) == replace(whole, checked_at=0.0, duration_s=0.0)


def test_a_report_that_cannot_be_kept_is_told_all_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "file"))
    told = tmp_path / "progress.json"
    assert main(["check", "folder", "--root", str(folder), "--workers", "1", "--progress", str(told)]) == 0
    assert capsys.readouterr().out.startswith("18 images checked")
    progress = read_progress(told)
    assert progress is not None and progress.message.startswith("18 images checked")
    assert "The report cannot be saved: " in progress.message


class Deadly:
    """Small pictures; whoever reads one of them dies."""

    def __init__(self, count: int, deadly: int) -> None:
        self.count, self.deadly = count, deadly

    def __len__(self) -> int:
        return self.count

    def label(self, index: int) -> int:
        return index % 2

    def read(self, index: int) -> torch.Tensor:
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.full((3, 4, 4), index, dtype=torch.uint8)

    def view(self, index: int, choose: Any, out: torch.Tensor) -> None:
        raise NotImplementedError

    def digest(self) -> str:
        return ""


@pytest.mark.parametrize("deadly", [0, CHUNK + 5, 4 * CHUNK - 1])
def test_a_picture_that_kills_its_reader_is_named(deadly: int) -> None:
    images = Images(("even", "odd"), Deadly(4 * CHUNK, deadly), Deadly(3, -1))
    report = check("deadly", "", images, Progress(), 2)
    assert found(report)["crash"].names == (f"train image {deadly} (the process that read it crashed)",)
    assert report.train.num_unreadable == 1 and report.train.num_images == 4 * CHUNK


def test_images_that_are_no_files() -> None:
    images = sources.get("digits").images(None)
    report = check("digits", "", images, Progress(), 1)
    assert report.findings == () and report.train.num_images == 1433
    assert report.mean == pytest.approx(images.mean, abs=1e-6) and report.std == pytest.approx(
        images.std, abs=1e-4
    )


def test_colour_is_exact_for_a_million_pictures() -> None:
    histogram = np.zeros((3, 256), np.int64)
    histogram[:, 100] = 10**14
    histogram[:, 101] = 10**14
    mean, std = checking.measure_colour(histogram)
    assert mean == (100.5 / 255,) * 3 and std == (0.5 / 255,) * 3
    assert checking.measure_colour(np.zeros((3, 256), np.int64)) == ((0, 0, 0), (0, 0, 0))
