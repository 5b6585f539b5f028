"""Writes numbered checkpoints until it is killed, repeatedly; checks after each kill that one is complete.

Called as `python -m tests.faults.writer FOLDER KILLS`.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from training.checkpoint_files import LAST, find_newest, read, write


def write_on(folder: Path, number: int, done: int) -> None:
    while True:
        number += 1
        write({"number": number, "weights": torch.full((50_000,), float(number))}, folder / LAST)
        os.write(done, b".")


def killed(folder: Path, number: int, delay_s: float) -> int:
    """Return the number of the last checkpoint that was certainly written."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        write_on(folder, number, writing)
    os.close(writing)
    finished = len(os.read(reading, 1))
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while block := os.read(reading, 65536):
        finished += len(block)
    os.close(reading)
    return number + finished


if __name__ == "__main__":
    torch.set_num_threads(1)  # a forked child has no threads to wait for
    folder, number = Path(sys.argv[1]), 0
    for _ in range(int(sys.argv[2])):
        certain = killed(folder, number, random.uniform(0, 0.06))
        newest, _ = find_newest(folder)
        assert newest is not None
        found = read(newest)
        number = found["number"]
        assert bool((found["weights"] == number).all())
        assert certain - 1 <= number <= certain + 1, (certain, number, newest)
    sys.stdout.write(f"{number}\n")
