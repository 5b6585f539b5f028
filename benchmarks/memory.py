"""Peak memory of training against what Launch estimates: ``python -m benchmarks.memory``.

Each network trains three steps in a process of its own, the way `ImageClassifier` does: channels last,
autocast, the recipe's optimiser, glibc told to keep what is freed. Measured is how far the resident memory
rises above what it was before the network was built.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path

import torch

from lightning_modules import registry
from lightning_modules.classifier import ImageClassifier
from lightning_modules.ledger.training_memory import estimate
from lightning_modules.recipes import build_optimizer
from training import OPENMP_SETTINGS
from training.hardware import cpu_has_bf16, keep_freed_memory

MEGABYTE = 2**20
NUM_STEPS = 3
# Network, images a step, pixels, recipe.
TRAININGS = (
    ("alexnet", 128, 224, "paper"),
    ("vgg16", 16, 224, "paper"),
    ("googlenet", 32, 224, "paper"),
    ("resnet50", 32, 224, "paper"),
)


def report(num_rounds: int = 1) -> None:
    """Print a line for each network and precision, with the median of the rounds and how far they differ."""
    print("| network | batch | precision | counted MB | estimate MB | measured MB | estimate / measured |")
    print("|---|---|---|---|---|---|---|")
    for training, precision in product(TRAININGS, ("32-true", "bf16-mixed")):
        key, batch_size, image_size, recipe = training
        if precision == "bf16-mixed" and not cpu_has_bf16():
            continue
        expected = estimate(
            key, image_size=image_size, batch_size=batch_size, precision=precision, recipe=recipe
        )
        peaks = [
            measure_apart(key, batch_size, image_size, precision, recipe) / MEGABYTE
            for _ in range(num_rounds)
        ]
        peak, total = statistics.median(peaks), expected.total / MEGABYTE
        spread = f" ({min(peaks):,.0f} to {max(peaks):,.0f})" if num_rounds > 1 else ""
        print(
            f"| {key} | {batch_size} | {precision} | {expected.counted / MEGABYTE:,.0f} | {total:,.0f} "
            f"| {peak:,.0f}{spread} | {total / peak:.2f} |",
            flush=True,
        )


def measure_apart(key: str, batch_size: int, image_size: int, precision: str, recipe: str) -> int:
    """Return the bytes that `measure` finds in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--measure", key, str(batch_size), str(image_size)]
    answer = subprocess.run(
        [*command, precision, recipe],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | OPENMP_SETTINGS,
        cwd=Path(__file__).parents[1],
    )
    return int(json.loads(answer.stdout.splitlines()[-1]))


def measure(key: str, batch_size: int, image_size: int, precision: str, recipe: str) -> int:
    """Trains a few steps and returns the bytes by which the process grew at its peak."""
    keep_freed_memory()
    num_classes = registry.get(key).num_classes
    before = read_status("VmRSS")
    classifier = ImageClassifier(key, num_classes, image_size, recipe).train()
    optimizer = build_optimizer(classifier.recipe, classifier.network)
    pixels = torch.randint(0, 256, (batch_size, 3, image_size, image_size), dtype=torch.uint8)
    pixels = pixels.to(memory_format=torch.channels_last)
    labels = torch.randint(0, num_classes, (batch_size,))
    shift, scale = torch.full((3, 1, 1), -2.0), torch.full((3, 1, 1), 1 / 58)
    for step in range(NUM_STEPS):
        images = torch.addcmul(shift, pixels.float(), scale)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = classifier.training_step((images, labels), step)
        # Lightning clears the gradients here, when the next activations are there already.
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return read_status("VmHWM") - before


def read_status(name: str) -> int:
    """Return a size of this process in bytes: ``VmRSS`` now, ``VmHWM`` at its highest.

    The kernel counts the latter from the program's start on. ``ru_maxrss`` would go on from the process
    that started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    """Print the table, or measure one training in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=5, metavar=("NETWORK", "BATCH", "PIXELS", "PRECISION", "RECIPE"))
    parser.add_argument("--rounds", type=int, default=1, help="trainings of each kind; the same one varies")
    options = parser.parse_args()
    if options.measure:
        key, batch_size, image_size, precision, recipe = options.measure
        print(json.dumps(measure(key, int(batch_size), int(image_size), precision, recipe)))
    else:
        report(options.rounds)


if __name__ == "__main__":
    main()
