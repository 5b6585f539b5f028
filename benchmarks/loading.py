"""``python -m benchmarks loading --folder DIR``: images a second, beside peers.

Every participant runs in a process of its own, takes turns with the others, and makes float32 batches of 64
at 224 px, random-resized crop and mirror, with PyTorch's own threads set to one. What counts is images a
second of processor time, of the process and all its children: it says how many cores a GPU needs, and other
load on the machine disturbs it least.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import psutil

from benchmarks import loading_peers as peers
from datamodules.packs.format import Form

NUM_IMAGES = 3200
SECONDS = 6.0
ROUNDS = 2
REFERENCE = "torchvision, PIL"
# What a processor trains on, and what a GPU gets, which normalises by itself: on two cores, normalising for
# two workers takes a core's time away from them.
OURS = ("ours", "ours, bytes")


def report(folders: list[Path]) -> None:
    """Print how fast everybody loads; the originals are repeated until there are enough."""
    files = find_photographs(folders)
    if not files:
        print("`loading` needs photographs: give `--folder DIR`, once or more.")
        return
    missing = [name for name, module in peers.MODULES.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(f"Left out, since not installed: {', '.join(missing)} (see requirements-bench.txt).\n")
    with tempfile.TemporaryDirectory(prefix="arena-loading-") as place:
        root, reference = Path(place), 0.0
        _prepare(root, files)
        for title, where, names in (
            ("original JPEGs", "originals", peers.FROM_FILES),
            ("JPEGs packed at a short side of 256", "jpeg", peers.FROM_FILES),
            ("raw pixels packed at 256 x 256", "raw", peers.FROM_RAW),
            ("raw pixels packed at 256 x 256, AlexNet's crop of 224", "raw-light", peers.FROM_RAW),
        ):
            chosen = [name for name in names if name not in missing]
            found = _compare(root, where, chosen)
            # The first one is from the originals, with the reference in it.
            reference = found[REFERENCE, 2][0] if where == "originals" else reference
            _print_table(title, found, reference)


def find_photographs(folders: list[Path]) -> list[Path]:
    """Return all files in some folders."""
    return sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())


def link(files: list[Path], root: Path, num_images: int) -> None:
    """Make a folder of links to photographs, repeated for training until there are enough."""
    for split, count in (("train", -(-num_images // len(files))), ("val", 1)):
        for number, file in enumerate(files):
            folder = root / split / f"class{number % 10}"
            folder.mkdir(parents=True, exist_ok=True)
            for repeat in range(count):
                (folder / f"{number:05}_{repeat:04}.JPEG").symlink_to(file.resolve())


def pack(root: Path, target: Path, form: Form) -> None:
    """Packs a folder of images."""
    command = [
        "-m",
        "datamodules",
        "pack",
        "folder",
        "--root",
        str(root),
        "--to",
        str(target),
        "--form",
        form,
    ]
    subprocess.run([sys.executable, *command], check=True, stderr=subprocess.DEVNULL)


def _prepare(root: Path, files: list[Path]) -> None:
    """Make a folder of links, both packs, and what the peers read in their own formats."""
    link(files, root / "originals", NUM_IMAGES)
    num_images = -(-NUM_IMAGES // len(files)) * len(files)
    for form in get_args(Form):
        started = time.perf_counter()
        pack(root / "originals", root / f"pack-{form}", form)
        rate = num_images / (time.perf_counter() - started)
        size = sum(file.stat().st_size for file in (root / f"pack-{form}" / "train").iterdir())
        print(f"Packed as {form}: {size / num_images / 1e3:.1f} kB an image, {rate:.0f} images/s.\n")
    peers.unpack(root / "pack-jpeg" / "train", root / "jpeg" / "train")
    for where in ("originals", "jpeg"):
        for name in ("WebDataset", "LitData"):
            if importlib.util.find_spec(peers.MODULES[name]):
                _run("prepare", name, where, 0, root)


def _compare(root: Path, where: str, names: list[str]) -> dict[tuple[str, int], tuple[float, float]]:
    """Return medians of images per second of processor time and of images per second."""
    entries = [(name, 2) for name in names] + [(name, workers) for name in OURS for workers in (2, 1)]
    found: dict[tuple[str, int], list[tuple[float, float]]] = {entry: [] for entry in entries}
    for _ in range(ROUNDS):
        for entry in entries:
            found[entry].append(_run("measure", entry[0], where, entry[1], root))
    return {
        entry: (statistics.median(one for one, _ in rounds), statistics.median(one for _, one in rounds))
        for entry, rounds in found.items()
    }


def _print_table(title: str, found: dict[tuple[str, int], tuple[float, float]], reference: float) -> None:
    print(f"From {title}:\n\n| | workers | images/s per CPU second | to the reference | images/s |")
    print("|---|---|---|---|---|")
    for (name, workers), (per_cpu_s, per_s) in found.items():
        print(f"| {name} | {workers} | {per_cpu_s:,.0f} | {per_cpu_s / reference:.2f} | {per_s:,.0f} |")
    for name in OURS:
        scaling = found[name, 2][1] / found[name, 1][1]
        print(f"\nFrom one worker to two: {scaling:.2f} times the images a second ({name}).", flush=True)
    print()


def _run(task: str, name: str, where: str, workers: int, root: Path) -> tuple[float, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.loading"]
    what = [task, name, where, str(workers), str(root)]
    done = subprocess.run(command + what, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if task == "prepare":
        return 0.0, 0.0
    per_cpu_s, per_s = json.loads(done.stdout.splitlines()[-1])
    return per_cpu_s, per_s


def measure(batches: Callable[[], Iterator[Any]]) -> tuple[float, float]:
    """Time batches of an endless stream, once the first ones are there.

    Returns:
        Images per second of processor time, and images per second.
    """
    stream = batches()
    for _ in range(4):
        next(stream)
    cpu_s, start_s, images = _cpu_s(), time.perf_counter(), 0
    while (passed_s := time.perf_counter() - start_s) < SECONDS:
        next(stream)
        images += peers.BATCH_SIZE
    return images / (_cpu_s() - cpu_s), images / passed_s


def _cpu_s() -> float:
    """Return the processor time of this process and its children, living or not."""
    process = psutil.Process()
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return float(total)


def main() -> None:
    """Run one participant; what `report` starts."""
    parser = argparse.ArgumentParser()
    for name in ("task", "name", "where"):
        parser.add_argument(name)
    parser.add_argument("workers", type=int)
    parser.add_argument("root", type=Path)
    options = parser.parse_args()
    if options.task == "prepare":
        peers.PREPARE[options.name](options.root, options.where)
        return
    import torch

    from training.hardware import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    make = peers.PARTICIPANTS[options.name](options.root, options.where, options.workers)
    print(json.dumps(measure(make)))


if __name__ == "__main__":
    main()
