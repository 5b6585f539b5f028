"""Checkpoints after crashes, on full disks, damaged and malicious ones."""

import os
import pickle
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tracking.layout import REPOSITORY
from tracking.problems import StoreUnavailable
from training.checkpoint_files import BEST, LAST, PREVIOUS, CheckpointFiles, find_newest, read, write


def content(number: int, size: int = 50_000) -> dict[str, object]:
    return {"number": number, "weights": torch.full((size,), float(number))}


def fill(folder: Path) -> None:
    write(content(0), folder / BEST)
    for number in (1, 2, 3):
        write(content(number), folder / LAST)


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """As a full disk does: writing fails in the middle of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_newest_and_the_one_before(tmp_path: Path) -> None:
    assert find_newest(tmp_path) == (None, [])
    fill(tmp_path)
    assert find_newest(tmp_path) == (tmp_path / LAST, [])
    assert [read(tmp_path / name)["number"] for name in (LAST, PREVIOUS, BEST)] == [3, 2, 0]
    assert len(list(tmp_path.iterdir())) == 4, "partial files are left"
    (tmp_path / PREVIOUS).replace(tmp_path / LAST)
    assert find_newest(tmp_path) == (tmp_path / LAST, []), "a file is known by what is in it"


@pytest.mark.fault(
    "newest checkpoint cut off, empty, or one bit changed", "refused; the previous one is used"
)
@pytest.mark.parametrize("damage", ["cut off", "one bit", "empty"])
def test_a_damaged_one_is_noticed(damage: str, tmp_path: Path) -> None:
    fill(tmp_path)
    for name in (LAST, PREVIOUS):
        data = bytearray((tmp_path / name).read_bytes())
        data[len(data) // 2] ^= 1
        cut = {"cut off": data[: len(data) // 2], "one bit": data, "empty": b""}
        (tmp_path / name).write_bytes(cut[damage])
        newest, damaged = find_newest(tmp_path)
        assert newest == (tmp_path / PREVIOUS if name == LAST else None)
        assert damaged[-1] == tmp_path / name


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """64 KB of memory as a disk of its own; only root can have that."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True) if shutil.which("mount") else None
    if mounted is None or mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip() if mounted else 'no mount'}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.fault("disk of 64 KB full while saving", "one sentence; earlier checkpoints are unchanged")
def test_a_full_disk_costs_nothing(tmp_path: Path, observed: Callable[[str], None]) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder):
        for number in (1, 2):
            write(content(number, 3_000), folder / LAST)  # 12 KB each
        before = {file: file.read_bytes() for file in folder.iterdir()}
        with pytest.raises(StoreUnavailable, match="no space left on device") as error:
            write(content(3, 12_000), folder / LAST)
        assert str(error.value).endswith("Free some space and resume the run.") and "\n" not in str(
            error.value
        )
        assert {file: file.read_bytes() for file in folder.iterdir()} == before
        write(content(4, 3_000), folder / LAST)
        assert [read(folder / name)["number"] for name in (LAST, PREVIOUS)] == [4, 2]
    observed(f"{error.value}".replace(str(folder), "")[:120] + " ...; last and previous unchanged")


@pytest.mark.fault("write of a checkpoint fails half-way", "one sentence; earlier checkpoints are unchanged")
def test_a_write_that_fails_costs_nothing(tmp_path: Path) -> None:
    fill(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for name in (LAST, BEST):
        with files_of_at_most(64 * 1024), pytest.raises(StoreUnavailable, match="file too large") as error:
            write(content(4), tmp_path / name)
        assert str(error.value).endswith("Free some space and resume the run.") and "\n" not in str(
            error.value
        )
        assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    write(content(5), tmp_path / LAST)
    assert read(tmp_path / PREVIOUS)["number"] == 3


@pytest.mark.fault(
    "kill -9 while a checkpoint is written, 25 times", "the last or the previous one is complete"
)
def test_killed_while_writing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.writer", str(tmp_path), "25"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 25


class Malice:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch canary",)


@pytest.mark.fault("checkpoint that carries code", "refused in one sentence; the code never runs")
def test_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, observed: Callable[[str], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Malice()}, tmp_path / LAST)
    (tmp_path / PREVIOUS).write_bytes(pickle.dumps(Malice(), protocol=2))
    for name in (LAST, PREVIOUS):
        with pytest.raises(
            ValueError, match=f"{name} is refused: it is damaged, or loading it would run code"
        ):
            CheckpointFiles().load_checkpoint(tmp_path / name, weights_only=False)
    for data in (b"", b"PK\x03\x04 and then nothing"):
        (tmp_path / BEST).write_bytes(data)
        with pytest.raises(ValueError, match=r"best\.ckpt is"):
            read(tmp_path / BEST)
    assert not (tmp_path / "canary").exists()
    observed("refused: reading it would run code; no canary")
