"""Conversion to LitData's format: what is kept, what is re-encoded, and what a kill leaves behind."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import litdata
import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import sources
from datamodules.__main__ import main
from datamodules.images import Images, Split
from datamodules.problems import Argument, DataError, LitData, Place, Remote
from datamodules.progress import Progress, read_progress
from datamodules.streams import conversion
from datamodules.streams.conversion import shuffled, split_order
from datamodules.streams.targets import open_target
from problems import Code, InvalidValue, Problem
from tests.datamodules.conftest import CLASSES, cut_off, picture
from tests.datamodules.s3_server import BUCKET, Server
from tests.exits import exit_code
from tests.refusals import refused


def convert(*arguments: str) -> int | str | None:
    return exit_code(main, ["convert", *arguments])


def open_images(root: Path | str) -> Images:
    return sources.get("litdata").images(str(root))


def contents(split: Split) -> dict[bytes, int]:
    """Files and their labels."""
    found = {}
    for index in range(len(split)):
        file = split.encoded(index)
        assert file is not None
        found[file.content] = split.label(index)
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_files_are_kept_as_they_are(folder: Path, tmp_path: Path) -> None:
    assert convert("folder", "--root", str(folder), "--to", str(tmp_path / "out")) == 0
    before, after = sources.get("folder").images(str(folder)), open_images(tmp_path / "out")
    assert after.class_names == before.class_names == CLASSES
    for old, new in ((before.train, after.train), (before.val, after.val)):
        assert contents(old) == contents(new) and len(contents(new)) == len(new) == len(old)
    assert [after.val.label(index) for index in range(6)] == [0, 0, 1, 1, 2, 2]  # validation keeps its order
    assert [after.train.label(index) for index in range(12)] != sorted([0, 1, 2] * 4)
    assert not list((tmp_path / "out").rglob("*.part"))


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")
@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities of TorchVision")
def test_pixels_lose_nothing_and_litdata_reads_them(tmp_path: Path) -> None:
    assert convert("digits", "--to", str(tmp_path / "out"), "--classes", "3") == 0
    digits, images = sources.get("digits").images(None), open_images(tmp_path / "out")
    assert images.class_names == digits.class_names[:3]
    assert (images.mean, images.std, images.can_mirror) == (digits.mean, digits.std, False)
    some = {digits.train.read(index).numpy().tobytes() for index in range(len(digits.train))}
    assert all(images.train.read(index).numpy().tobytes() in some for index in range(len(images.train)))
    theirs = litdata.StreamingDataset(str(tmp_path / "out" / "train"))
    assert len(theirs) == len(images.train)
    for index in (0, len(theirs) - 1):
        assert torch.equal(theirs[index]["image"], images.train.read(index))
        assert theirs[index]["label"] == images.train.label(index)


def test_large_images_are_re_encoded_and_small_ones_kept(folder: Path, tmp_path: Path) -> None:
    large, odd = folder / "train" / CLASSES[0] / "large.JPEG", folder / "train" / CLASSES[1] / "odd.JPEG"
    picture(0, size=(100, 60)).save(large)
    picture(1, size=(60, 90)).convert("CMYK").save(odd, "JPEG")
    assert convert("folder", "--root", str(folder), "--to", str(tmp_path / "out"), "--max_side", "40") == 0
    small = contents(sources.get("folder").images(str(folder)).train)
    sizes = []
    for content, label in contents(open_images(tmp_path / "out").train).items():
        if content in small:
            assert small[content] == label
            continue
        with Image.open(io.BytesIO(content)) as image:
            sizes.append((label, image.format, image.mode, image.size))
    assert sorted(sizes) == [(0, "JPEG", "RGB", (67, 40)), (1, "JPEG", "RGB", (40, 60))]


def test_what_cannot_be_decoded_is_kept_and_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = folder / "train" / CLASSES[0] / f"{CLASSES[0]}_1.JPEG"
    cut_off(broken)
    empty = folder / "val" / CLASSES[1] / f"{CLASSES[1]}_0.JPEG"
    empty.write_bytes(b"")
    assert convert("folder", "--root", str(folder), "--to", str(tmp_path / "out"), "--max_side", "8") == 0
    error = capsys.readouterr().err
    assert "2 images cannot be read" in error
    assert broken.name in error and empty.name in error
    images = open_images(tmp_path / "out")
    assert contents(images.train)[broken.read_bytes()] == 0 and contents(images.val)[b""] == 1


@pytest.mark.parametrize("form", ["jpeg", "raw"])
def test_a_pack_is_converted_as_it_is(folder: Path, tmp_path: Path, form: str) -> None:
    pack, out = str(tmp_path / "pack"), str(tmp_path / "out")
    assert main(["pack", "folder", "--root", str(folder), "--to", pack, "--form", form, "--side", "32"]) == 0
    assert convert("packed", "--root", pack, "--to", out) == 0
    packed, images = sources.get("packed").images(pack), open_images(out)
    for before, after in ((packed.train, images.train), (packed.val, images.val)):
        pixels = {before.read(index).numpy().tobytes() for index in range(len(before))}
        assert {after.read(index).numpy().tobytes() for index in range(len(after))} == pixels


MANY_CHUNKS = {"CHUNK_BYTES": 6_000, "NUM_TRIED": 2}
# A process that writes many small chunks, slowly enough to be stopped in between.
SLOWLY = f"""
import signal, sys, time
# Whoever starts the tests in the background may have them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from datamodules.streams import conversion
from datamodules.__main__ import main
vars(conversion).update({MANY_CHUNKS})
whole = conversion.encode
def encode(*arguments):
    time.sleep(float(sys.argv[1]))
    return whole(*arguments)
conversion.encode = encode
sys.exit(main(["convert", *sys.argv[2:]]))
"""


def wait_for_files(folder: Path, count: int, process: "subprocess.Popen[bytes]") -> None:
    """Waits until there are finished chunks, or one that is begun."""
    until = time.monotonic() + 60
    while len(list(folder.glob("*.bin"))) + bool(list(folder.glob("*.part"))) < count:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_conversion_goes_on_where_it_was_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    for name, value in MANY_CHUNKS.items():
        monkeypatch.setattr(conversion, name, value)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert convert("folder", "--root", str(folder), "--to", str(whole)) == 0
    arguments = ("folder", "--root", str(folder), "--to", str(out), "--threads", "2")
    stopped = subprocess.Popen([sys.executable, "-c", SLOWLY, "0.3", *arguments], stderr=subprocess.DEVNULL)
    wait_for_files(out / "train", 4, stopped)
    stopped.send_signal(ending)
    stopped.wait()
    assert stopped.returncode == (-signal.SIGKILL if ending == signal.SIGKILL else 130)
    with refused(LitData.NOT_CONVERTED, name="info.json"):
        open_images(out)
    written = {file: file.stat().st_mtime_ns for file in out.glob("*/*.bin")}
    assert 3 <= len(written) < len(list(whole.glob("*/*.bin")))
    assert convert(*arguments) == 0
    assert tree(out) == tree(whole)
    assert all(file.stat().st_mtime_ns == changed for file, changed in written.items())


def test_what_is_complete_is_left_alone(folder: Path, tmp_path: Path) -> None:
    arguments = ("folder", "--root", str(folder), "--to", str(tmp_path / "out"))
    assert convert(*arguments) == 0
    before = tree(tmp_path / "out")
    assert convert(*arguments) == 0
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("more", [("--max_side", "20"), ("--classes", "2")])
def test_another_conversion_at_the_same_place_is_refused(
    folder: Path, tmp_path: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("folder", "--root", str(folder), "--to", str(tmp_path / "out"))
    assert convert(*arguments) == 0
    capsys.readouterr()
    assert convert(*arguments, *more) == 2
    assert str(DataError(Place.OTHER_CONTENT, place=tmp_path / "out")) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "code", "limits"),
    [
        ("max_side", 0, Argument.TOO_SMALL, {"smallest": 1}),
        ("quality", 101, Argument.OUT_OF_RANGE, {"smallest": 1, "largest": 100}),
        ("threads", 0, Argument.TOO_SMALL, {"smallest": 1}),
    ],
)
def test_settings_that_make_no_sense(
    folder: Path,
    tmp_path: Path,
    option: str,
    value: int,
    code: Code,
    limits: dict[str, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ("folder", "--root", str(folder), "--to", str(tmp_path / "out"))
    assert convert(*arguments, f"--{option}", str(value)) == 2
    assert capsys.readouterr().err == f"{InvalidValue(code, name=option, value=value, **limits)}\n"


def test_other_files_are_never_written_among(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(folder)
    file = folder / "train" / CLASSES[0] / f"{CLASSES[0]}_0.JPEG"
    for out, problem in (
        (folder, Problem(Place.NOT_EMPTY, place=folder)),
        (file, Problem(Place.NOT_A_FOLDER, place=file)),
        ("gs://bucket/set", Problem(Place.READ_ONLY, place="gs://bucket/set")),
        ("ftp://bucket/set", Problem(Remote.NOT_AN_ADDRESS, address="ftp://bucket/set")),
    ):
        assert convert("folder", "--root", str(folder), "--to", str(out)) == 2
        assert str(problem) in capsys.readouterr().err
    assert tree(folder) == before


def test_a_second_process_is_turned_away(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("folder", "--root", str(folder), "--to", str(tmp_path / "out"))
    first = subprocess.Popen([sys.executable, "-c", SLOWLY, "2", *arguments], stderr=subprocess.DEVNULL)
    wait_for_files(tmp_path / "out" / "train", 1, first)
    assert convert(*arguments) == 2
    assert str(DataError(Place.IN_USE, place=tmp_path / "out")) in capsys.readouterr().err
    first.kill()
    first.wait()
    assert convert(*arguments) == 0


def test_a_disk_that_is_too_small_is_noticed_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    images, target = sources.get("folder").images(str(folder)), open_target(str(tmp_path / "out"))
    with refused(Place.NO_SPACE, place=str(tmp_path / "out"), free_gb=1e-6):
        conversion.convert(images, target, conversion.Settings(), 1, Progress())
    assert not list((tmp_path / "out").rglob("*.bin"))


def test_what_is_complete_needs_no_room(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (folder / "val").rglob("*.JPEG"):
        picture(0, size=(9, 8)).save(file)  # less than is expected of them
    for _ in range(2):
        assert convert("folder", "--root", str(folder), "--to", str(tmp_path / "out")) == 0
        full = shutil.disk_usage(tmp_path)._replace(free=0)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, full=full: full)


def test_chunks_on_their_way_to_a_bucket_need_room_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with (
        refused(Place.NO_TEMPORARY_SPACE, folder=tmp_path / "none", name="a.bin", place="s3://images/set"),
        open_target("s3://images/set").write("train/a.bin"),
    ):
        raise AssertionError("there is nothing to write to")


def test_progress_is_told_to_those_who_watch(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert (
        convert("folder", "--root", str(folder), "--to", str(tmp_path / "out"), "--progress", str(report))
        == 0
    )
    told = json.loads(report.read_text())
    assert (told["state"], told["stage"], told["done"], told["total"]) == ("done", "Converting", 18, 18)


def test_a_bucket_holds_what_a_folder_would(server: Server, folder: Path, tmp_path: Path) -> None:
    address = f"s3://{BUCKET}/converted"
    for out in (address, str(tmp_path / "out")):
        assert convert("folder", "--root", str(folder), "--to", out, "--max_side", "20") == 0
    client = server.client()
    names = [row["Key"] for row in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    uploaded = {name: client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}
    assert {name.removeprefix("converted/"): content for name, content in uploaded.items()} == tree(
        tmp_path / "out"
    )
    # What an interrupted upload has not brought there is all that is done again.
    client.delete_object(Bucket=BUCKET, Key="converted/val/chunk-0-0.bin")
    client.delete_object(Bucket=BUCKET, Key="converted/info.json")
    before = client.head_object(Bucket=BUCKET, Key="converted/train/chunk-0-0.bin")["LastModified"]
    assert convert("folder", "--root", str(folder), "--to", address, "--max_side", "20") == 0
    assert client.head_object(Bucket=BUCKET, Key="converted/train/chunk-0-0.bin")["LastModified"] == before
    # And from there back to a folder, as they are.
    assert convert("litdata", "--root", address, "--to", str(tmp_path / "back")) == 0
    there, back = open_images(tmp_path / "out"), open_images(tmp_path / "back")
    assert contents(there.train) == contents(back.train) and contents(there.val) == contents(back.val)


def test_a_kill_before_an_upload_leaves_nothing_on_this_machine(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    scratch, report = tmp_path / "scratch", tmp_path / "report"
    scratch.mkdir()
    command = [sys.executable, "-c", SLOWLY, "0.3", "folder", "--root", str(folder)]
    process = subprocess.Popen(
        [*command, "--to", f"s3://{BUCKET}/killed", "--progress", str(report)],
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not ((told := read_progress(report)) and told.stage == "Converting" and told.done):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not list(scratch.iterdir())


def test_the_order_is_a_permutation_that_stays() -> None:
    order = shuffled(1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert order[:5].tolist() == [410, 821, 366, 503, 254]
    classes = np.sort(np.arange(1000) % 10)[order]
    assert all(len(set(part.tolist())) >= 8 for part in split_order(classes, 40))
