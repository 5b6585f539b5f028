"""Images per second of ``python -m training fit`` against a plain loop and against a bare one.

The three take turns, so that a machine whose speed drifts slows all of them alike; what counts is the
ratio within a round. Data is synthetic: this measures training, not decoding.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracking import runs, scaling, series
from tracking.store import Store
from training import OPENMP_SETTINGS

BATCH_SIZES = {"alexnet": 128, "resnet50": 32, "googlenet": 32, "vgg16": 16}
# The trainer records its speed every few seconds: a fast network takes more steps until it has done so twice.
NUM_STEPS = {"alexnet": 12, "resnet50": 6, "googlenet": 16, "vgg16": 6}
TARGETS = {"alexnet": 3.0, "resnet50": 3.0, "googlenet": 2.5, "vgg16": 2.5}


def measure(architecture: str, num_rounds: int) -> dict[str, float]:
    """Run the three in turn and return the medians of their speeds and of the ratios."""
    batch_size, num_steps = BATCH_SIZES[architecture], NUM_STEPS[architecture]
    rounds = []
    for _ in range(num_rounds):
        plain = run_loop("plain", architecture, batch_size, num_steps)
        fit, _ = run_fit(architecture, batch_size, num_steps)
        bare = run_loop("bare", architecture, batch_size, num_steps)
        rounds.append(
            {"plain": plain, "fit": fit, "bare": bare, "fit/plain": fit / plain, "fit/bare": fit / bare}
        )
    return {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}


def run_loop(loop: str, architecture: str, batch_size: int, num_steps: int) -> float:
    """Return images per second of one of `benchmarks.loops`."""
    command = [sys.executable, "-m", "benchmarks.loops", loop, architecture]
    command += ["--batch_size", str(batch_size), "--num_steps", str(num_steps)]
    # Read when OpenMP is loaded; whoever trains through us has it.
    settings = OPENMP_SETTINGS if loop == "bare" else {}
    printed = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | settings
    ).stdout
    return float(json.loads(printed.splitlines()[-1])["images_per_s"])


def run_fit(
    architecture: str, batch_size: int, num_steps: int, source: str = "synthetic", root: Path | None = None
) -> tuple[float, float]:
    """Trains and reads the record that was left; the first steps are warm-up.

    Returns:
        Images per second, and the percentage of the time that was spent waiting for images.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "training", "fit", "--model.architecture", architecture]
        command += ["--data.source", source, "--data.image_size", "224"]
        command += ["--data.root", str(root)] if root else []
        command += ["--data.batch_size", str(batch_size), "--trainer.max_steps", str(num_steps + 1)]
        command += ["--trainer.limit_val_batches", "0"]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"ARENA_MLRUNS": folder})
        store = Store(Path(folder))
        (run,) = runs.list_runs(store)
        recorded = series.read_series(store, [run.run_id], [scaling.SPEED, runs.DATA_WAIT])
        speeds, waits = (recorded[run.run_id, key] for key in (scaling.SPEED, runs.DATA_WAIT))
        speed = speed_after_first(speeds.steps, speeds.values, batch_size)
        return speed, float(np.mean(waits.values[1:]))


def speed_after_first(steps: NDArray[np.int64], values: NDArray[np.float64], batch_size: int) -> float:
    """Total images over total seconds of all recorded intervals but the first.

    Args:
        steps: Optimiser step at the end of each interval.
        values: Images per second within each interval.
        batch_size: Images a step.
    """
    images = [batch_size * int(after - before) for before, after in pairwise(steps)]
    seconds = [count / float(speed) for count, speed in zip(images, values[1:], strict=True)]
    return sum(images) / sum(seconds)


def report(num_rounds: int = 2) -> None:
    """Print one line per architecture."""
    print(
        "| network | batch | plain img/s | fit img/s | bare img/s | fit / plain (target) "
        "| fit / bare (target) |"
    )
    print("|---|---|---|---|---|---|---|")
    for key in BATCH_SIZES:
        row = measure(key, num_rounds)
        print(
            f"| {key} | {BATCH_SIZES[key]} | {row['plain']:.1f} | {row['fit']:.1f} | {row['bare']:.1f} "
            f"| {row['fit/plain']:.2f} ({TARGETS[key]}) | {row['fit/bare']:.3f} (0.97) |",
            flush=True,
        )
