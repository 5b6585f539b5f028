"""Whatever lies in a folder: nothing hangs, and all processes together take less than 1 GB of memory."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from datamodules.pixels.large import MAX_PIXELS
from tests.datamodules.test_checking import claim_bomb, grow_beyond_a_gigabyte, scan_forever

LIMIT_BYTES = 10**9
TIMEOUT_S = 240
# Reads every image once, as a training with two workers does.
READ_ALL = """
import sys
from datamodules.imagenet import ImageNetDataModule

data = ImageNetDataModule("folder", sys.argv[1], 64, batch_size=2, num_workers=2, max_unreadable=100)
for loader in (data.train_dataloader(), data.val_dataloader()):
    for batch in loader:
        data.on_before_batch_transfer(batch, 0)
print("\\n".join(name for _, name in sorted(data.damage.found)))
"""


@pytest.fixture
def hostile(folder: Path) -> Path:
    side = int(MAX_PIXELS**0.5)
    classes = sorted((folder / "train").iterdir())
    # Of the largest size that is let through, in a few kilobytes; one for each of two who read.
    Image.new("RGB", (side, side)).save(classes[0] / "large.png", compress_level=1)
    Image.new("L", (side, side)).save(classes[1] / "large.jpg", quality=10)
    claim_bomb(classes[0] / "bomb.png")
    scan_forever(classes[0] / "scans.jpg")
    (classes[1] / "huge.jpg").touch()
    grow_beyond_a_gigabyte(classes[1] / "huge.jpg")
    (classes[1] / "empty.jpg").touch()
    os.mkfifo(classes[2] / "pipe.jpg")
    (classes[2] / "loop.jpg").symlink_to(classes[2] / "loop.jpg")
    (classes[2] / "up").symlink_to(folder)
    (classes[2] / os.fsdecode(b"no\ntext\xff.jpg")).write_bytes(b"no image")
    return folder


def run_watched(command: list[str], cache: Path) -> tuple[str, int]:
    """Returns what a command prints, and the most memory its processes had together."""
    environment = os.environ | {"ARENA_CACHE": str(cache)}
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment)
    most, began_s = 0, time.monotonic()
    while process.poll() is None:
        assert time.monotonic() - began_s < TIMEOUT_S
        most = max(most, measure(psutil.Process(process.pid)))
        time.sleep(0.05)
    output, _ = process.communicate()
    assert process.returncode == 0
    return output, most


def measure(process: psutil.Process) -> int:
    """Memory of a process and its children, what they share counted once.

    Libraries are left out: they are mapped from files, of which the system drops what it has no room for,
    and how much of them a process is charged for depends on who else has them.
    """
    try:
        family = (process, *process.children(recursive=True))
    except psutil.Error:
        return 0  # it has ended
    total = 0
    for one in family:
        try:
            parts = Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(
            1024 * int(part.split()[1]) for part in parts if part.startswith(("Pss_Anon:", "Pss_Shmem:"))
        )
    return total


def test_a_check(hostile: Path, tmp_path: Path) -> None:
    command = ["-m", "datamodules", "check", "folder", "--root", str(hostile), "--workers", "2"]
    output, most = run_watched(command, tmp_path / "cache")
    for line in (
        "1 × Images of more than",
        "1 × Files of more than 200,000,000 bytes",
        "1 × Images that take more than a minute",
        "1 × Empty files",
        r"no\ntext\xff.jpg (not an image)",
        "3 × Folders, pipes, broken links",
    ):
        assert line in output, output
    assert "crash" not in output and "MB to decode" not in output
    assert most < LIMIT_BYTES, f"{most / 1e6:.0f} MB"


def test_a_training(hostile: Path, tmp_path: Path) -> None:
    output, most = run_watched(["-c", READ_ALL, str(hostile)], tmp_path / "cache")
    names = [Path(line.split(" (")[0]).name for line in output.splitlines()]
    assert set(names) >= {"bomb.png", "huge.jpg", "empty.jpg", r"no\ntext\xff.jpg"}
    assert "pipe.jpg" not in names and "loop.jpg" not in names
    assert most < LIMIT_BYTES, f"{most / 1e6:.0f} MB"
