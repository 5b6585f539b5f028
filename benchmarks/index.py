"""The start of a training on a folder of 1.28 million files: how soon there is a batch, what the list takes.

The folder has ImageNet's numbers of files and classes; the files of a class are links to one small JPEG. All
is in the system's cache of directories, as on a machine that was used before. *Cold* is the very first start,
which lists all files; *warm* any later one, which checks and maps what the first has kept. Memory is that of
the process and its two workers, what they share counted once, less that of the same on as many classes with
one file each: what a million names cost.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.memory import MEGABYTE

NUM_CLASSES, NUM_TRAIN, NUM_VAL = 1000, 1281, 50
LONG_AGO_S = 1_600_000_000
NUM_WORKERS = 2


def report() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as place:
        small, large = Path(place) / "small", Path(place) / "large"
        fill(small, 1, 1)
        fill(large, NUM_TRAIN, NUM_VAL)
        caches = [Path(place) / name for name in ("small-cache", "large-cache")]
        without = measure_apart(small, caches[0])["memory"]
        print(f"{NUM_CLASSES * NUM_TRAIN:,} files to train on, {NUM_CLASSES * NUM_VAL:,} to validate on\n")
        print("| start | first batch, s (target 2) | index in all processes, MB (target 300) | manifest, s |")
        print("|---|---|---|---|")
        for name in ("cold", "warm"):
            found = measure_apart(large, caches[1])
            memory = (found["memory"] - without) / MEGABYTE
            print(
                f"| {name} | {found['first_batch_s']:.2f} | {memory:.0f} | {found['manifest_s']:.2f} |",
                flush=True,
            )


def fill(root: Path, num_train: int, num_val: int) -> None:
    """Make a folder in ImageNet's layout that looks as if it had lain there for years."""
    generator = np.random.default_rng(0)
    for label in range(NUM_CLASSES):
        name = f"n{label:08}"
        for split, count in (("train", num_train), ("val", num_val)):
            place = root / split / name
            place.mkdir(parents=True)
            first = place / f"{name}_0.JPEG"
            noise = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((256, 256)).save(first)
            for number in range(1, count):
                os.link(first, place / f"{name}_{number * 7}.JPEG")
            os.utime(place, (LONG_AGO_S, LONG_AGO_S))


def measure_apart(root: Path, cache: Path) -> dict[str, float]:
    """Return what `measure` finds in a fresh process."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.index", str(root)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"ARENA_CACHE": str(cache)},
        cwd=Path(__file__).parents[1],
    )
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def measure(root: str) -> dict[str, float]:
    """Do what a training does before its first step: open the folder and wait for a batch."""
    import psutil

    from datamodules.imagenet import ImageNetDataModule

    began_s = time.perf_counter()
    data = ImageNetDataModule("folder", root, 224, batch_size=64, num_workers=NUM_WORKERS)
    batches = iter(data.train_dataloader())
    next(batches)
    first_batch_s = time.perf_counter() - began_s
    process = psutil.Process()
    memory = sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True)))
    began_s = time.perf_counter()
    assert data.manifest
    manifest_s = time.perf_counter() - began_s
    return {"first_batch_s": first_batch_s, "memory": memory, "manifest_s": manifest_s}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
