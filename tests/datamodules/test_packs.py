"""A pack holds what its source shows, can be interrupted anywhere, and is refused once it is damaged."""

import json
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import sources
from datamodules.__main__ import main
from datamodules.imagenet import ImageNetDataModule
from datamodules.images import Images
from datamodules.packs import writer
from datamodules.packs.format import RECORD, open_pack
from datamodules.packs.writer import Plan, write_pack
from datamodules.pixels.views import center
from datamodules.problems import Argument, Defect, Pack, Place, Root
from datamodules.progress import Progress
from datamodules.streams.targets import FolderTarget
from problems import Code
from tests.datamodules.conftest import CLASSES, cut_off
from tests.refusals import refused

RAW = Plan("raw", side=32, threads=2)
JPEG = Plan("jpeg", side=32, quality=95, threads=2)
PLANS = {"raw": RAW, "jpeg": JPEG}


def pack(root: Path, target: Path, plan: Plan) -> Images:
    write_pack(sources.get("folder").images(str(root)), "folder", target, plan, Progress())
    return open_pack(target)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(params=PLANS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return PLANS[request.param]


def test_raw_holds_the_center_square_of_the_originals(folder: Path, tmp_path: Path) -> None:
    originals, packed = sources.get("folder").images(str(folder)), pack(folder, tmp_path / "pack", RAW)
    assert packed.class_names == originals.class_names and len(packed.train) == 12 and len(packed.val) == 6
    for split, other in ((packed.train, originals.train), (packed.val, originals.val)):
        for index in range(len(split)):
            expected = np.empty((32, 32, 3), np.uint8)
            other.view(index, partial(center, 32, 32), expected)
            assert np.array_equal(split.read(index).permute(1, 2, 0).numpy(), expected)
            assert split.label(index) == other.label(index)
            # What a validation at 28 pixels sees is the same from the pack as from the original.
            views = [np.empty((28, 28, 3), np.uint8) for _ in range(2)]
            for one, out in zip((split, other), views, strict=True):
                one.view(index, partial(center, 32, 28), out)
            assert np.array_equal(*views)


def test_jpegs_hold_whole_pictures_with_a_bounded_short_side(folder: Path, tmp_path: Path) -> None:
    with Image.open(file := folder / "train" / CLASSES[0] / f"{CLASSES[0]}_0.JPEG") as image:
        smooth = image.resize((4, 3)).resize((90, 60), Image.Resampling.BICUBIC)
    smooth.save(file, quality=95)
    originals, packed = sources.get("folder").images(str(folder)), pack(folder, tmp_path / "pack", JPEG)
    assert packed.train.read(0).shape == (3, 32, 48)
    assert packed.train.read(1).shape == (3, 32, 38), "48 x 40 before"
    expected = np.array(smooth.resize((48, 32), Image.Resampling.BILINEAR)).astype(int)
    found = packed.train.read(0).permute(1, 2, 0).numpy()
    assert np.abs(found - expected).mean() < 3
    assert [packed.train.label(index) for index in range(12)] == [
        originals.train.label(index) for index in range(12)
    ]
    small = pack(folder, tmp_path / "small", Plan("jpeg", side=100))
    assert small.train.read(1).shape == (3, 40, 48), "what is smaller stays as it is"


def test_numpy_alone_opens_a_pack(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "raw", RAW)
    images = np.load(tmp_path / "raw" / "train" / "images.npy", mmap_mode="r")
    assert images.shape == (12, 32, 32, 3) and images.dtype == np.uint8
    pack(folder, tmp_path / "jpeg", JPEG)
    data = np.load(tmp_path / "jpeg" / "val" / "images.npy")
    records = np.load(tmp_path / "jpeg" / "val" / "records.npy")
    assert records["label"].tolist() == [0, 0, 1, 1, 2, 2] and records["end"][-1] == len(data)
    (tmp_path / "third.jpg").write_bytes(data[records["end"][1] : records["end"][2]].tobytes())
    with Image.open(tmp_path / "third.jpg") as image:
        assert image.size == (38, 32)


@pytest.mark.parametrize("stop_at", [1, 5, 11, 14])
def test_an_interrupted_pack_goes_on(
    stop_at: int, plan: Plan, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT", 2)
    pack(folder, tmp_path / "whole", plan)

    class Stopping(Progress):
        left = stop_at

        def advance(self, amount: int = 1) -> None:
            super().advance(amount)
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    images = sources.get("folder").images(str(folder))
    target = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        write_pack(images, "folder", target, plan, Stopping())
    with refused(Pack.UNFINISHED, root=target):
        open_pack(target)
    # What a loss of power may leave behind: a half record, and bytes that no record speaks of.
    for name in ("records.npy", "images.npy"):
        with (target / "train" / name).open("ab") as stream:
            stream.write(b"x" * 7)
    write_pack(images, "folder", target, plan, Progress())
    assert contents(target) == contents(tmp_path / "whole")


def test_going_on_does_not_start_over(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "pack"
    pack(folder, target, RAW)
    (target / "packing.json").write_bytes(b"")
    (target / "manifest.json").rename(target / "packing.json")
    manifest = json.loads((target / "packing.json").read_text()) | {"images": {}, "left_out": {}}
    (target / "packing.json").write_text(json.dumps(manifest, indent=1) + "\n")
    images = np.load(target / "train" / "images.npy", mmap_mode="r+")
    images[0] = 7
    images.flush()
    assert (pack(folder, target, RAW).train.images[0] == 7).all()  # type: ignore[attr-defined]


def test_a_second_process_is_turned_away(folder: Path, tmp_path: Path) -> None:
    with (
        FolderTarget(tmp_path / "pack").locked(),
        refused(Place.IN_USE, place=tmp_path / "pack"),
    ):
        pack(folder, tmp_path / "pack", RAW)
    pack(folder, tmp_path / "pack", RAW)


def test_another_pack_in_the_same_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "pack"
    pack(folder, target, RAW)
    before = contents(target)
    pack(folder, target, RAW)
    assert contents(target) == before
    with refused(Place.OTHER_CONTENT, place=target):
        pack(folder, target, JPEG)
    (target / "manifest.json").rename(target / "packing.json")
    with refused(Place.OTHER_CONTENT, place=target):
        pack(folder, target, JPEG)
    with refused(Place.NOT_EMPTY, place=folder):
        pack(folder, folder, RAW)


def cut_images(target: Path) -> None:
    file = target / "train" / "images.npy"
    file.write_bytes(file.read_bytes()[:-100])


def cut_records(target: Path) -> None:
    file = target / "val" / "records.npy"
    file.write_bytes(file.read_bytes()[: -RECORD.itemsize])


def lose_records(target: Path) -> None:
    (target / "train" / "records.npy").unlink()


def swap_splits(target: Path) -> None:
    (target / "train").rename(target / "other")
    (target / "val").rename(target / "train")
    (target / "other").rename(target / "val")


def scribble_manifest(target: Path) -> None:
    (target / "manifest.json").write_bytes(b"{")


def change_version(target: Path) -> None:
    found = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(found | {"version": 2}))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        *((damage, Pack.DAMAGED) for damage in (cut_images, cut_records, lose_records, swap_splits)),
        (scribble_manifest, Pack.DAMAGED),
        (change_version, Pack.OTHER_VERSION),
    ],
)
def test_a_damaged_pack_is_refused(damage: Any, code: Code, plan: Plan, folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "pack", plan)
    damage(tmp_path / "pack")
    with refused(code):
        ImageNetDataModule("packed", str(tmp_path / "pack"), batch_size=2)


def test_no_pack(tmp_path: Path) -> None:
    with refused(Pack.NOT_A_PACK, root=tmp_path, name="manifest.json"):
        open_pack(tmp_path)
    with refused(Root.NOT_NAMED):
        sources.get("packed").images(None)


def test_changed_bytes_are_noticed_by_whoever_reads_all(plan: Plan, folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "pack", plan)
    file = tmp_path / "pack" / "train" / "images.npy"
    content = bytearray(file.read_bytes())
    content[-50] ^= 255
    file.write_bytes(content)
    packed = open_pack(tmp_path / "pack")
    packed.train.read(10)
    with refused(Defect.CHANGED, name=f"{file}, image 11"):
        packed.train.read(11)


def test_unreadable_images_are_left_out_and_named(plan: Plan, folder: Path, tmp_path: Path) -> None:
    bad = [folder / "train" / CLASSES[label] / f"{CLASSES[label]}_{label}.JPEG" for label in (0, 1)]
    for file in bad:
        cut_off(file)
    manifest = write_pack(
        sources.get("folder").images(str(folder)), "folder", tmp_path / "pack", plan, Progress()
    )
    assert [name.split(" (")[0] for name in manifest.left_out["train"]] == list(map(str, bad))
    packed = open_pack(tmp_path / "pack")
    assert len(packed.train) == 10 and len(packed.val) == 6
    assert [packed.train.label(index) for index in range(10)] == [0] * 3 + [1] * 3 + [2] * 4


def test_a_folder_of_rubbish_is_not_packed(folder: Path, tmp_path: Path) -> None:
    for file in (folder / "train").rglob("*.JPEG"):
        file.write_bytes(b"rubbish")
    with refused(Pack.NOTHING_READABLE, number=12):
        pack(folder, tmp_path / "pack", RAW)


def test_a_full_disk_is_noticed_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    nearly_full = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda folder: nearly_full)
    with refused(Place.NO_SPACE, place=tmp_path / "pack", free_gb=1e-3):
        pack(folder, tmp_path / "pack", plan)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("side", 0, Argument.OUT_OF_RANGE),
        ("quality", 101, Argument.OUT_OF_RANGE),
        ("threads", 0, Argument.TOO_SMALL),
    ],
)
def test_wrong_numbers(name: str, value: int, code: Code) -> None:
    with refused(code, name=name, value=value):
        Plan(**asdict(RAW) | {name: value})


@pytest.mark.parametrize("readers", [1, 2])
def test_readers_change_nothing(readers: int, plan: Plan, folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "pack", plan)

    def epoch(num_workers: int) -> list[Any]:
        data = ImageNetDataModule(
            "packed", str(tmp_path / "pack"), 24, 4, augmentation="modern", num_workers=num_workers, seed=3
        )
        loader = data.train_dataloader()
        loader.sampler.set_epoch(2)
        return list(loader)

    alone, together = epoch(0), epoch(readers)
    assert len(alone) == 3
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.seeds, other.seeds)
        assert torch.equal(one.labels, other.labels)


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut_off(folder / "val" / CLASSES[2] / f"{CLASSES[2]}_1.JPEG")
    target = str(tmp_path / "pack")
    command = ["pack", "folder", "--root", str(folder), "--to", target, "--form", "raw", "--side", "32"]
    assert main(command) == 0
    end = capsys.readouterr().err.splitlines()[-1]
    assert end.startswith(f"{target} is ready: ")
    assert main(command) == 0
    assert capsys.readouterr().err.splitlines()[-1] == end, "started again, it also reports where the pack is"
    data = ImageNetDataModule("packed", target, image_size=28, batch_size=4)
    assert (data.train_images, data.val_images, data.num_classes) == (12, 5, 3)
    assert len(list(data.val_dataloader())) == 2
