"""``python -m benchmarks feeding --folder DIR``: does the device wait for its images?

What the trainer does with photographs as they are and packed, beside the bare loop with a batch that is there
already: what the device could do.
"""

import tempfile
from pathlib import Path
from typing import get_args

import torch

from benchmarks.loading import find_photographs, link, pack
from benchmarks.throughput import BATCH_SIZES, NUM_STEPS, run_fit, run_loop
from datamodules.packs.format import Form

NETWORKS = ("alexnet", "resnet50")
# A GPU takes larger batches, and so many images in a second that epochs have to be longer.
NUM_IMAGES, NUM_IMAGES_OF_GPU, BATCH_SIZE_OF_GPU = 3_200, 64_000, 256


def report(folders: list[Path]) -> None:
    """Print images per second of each network from each source, and how long it waited for images."""
    files = find_photographs(folders)
    if not files:
        print("`feeding` needs photographs: give `--folder DIR`, once or more.")
        return
    is_gpu = torch.cuda.is_available()
    with tempfile.TemporaryDirectory(prefix="arena-feeding-") as place:
        root = Path(place)
        link(files, root / "originals", NUM_IMAGES_OF_GPU if is_gpu else NUM_IMAGES)
        sources = {"original JPEGs": ("folder", root / "originals")}
        for form in get_args(Form):
            pack(root / "originals", root / form, form)
            sources[f"packed as {form}"] = ("packed", root / form)
        print(f"On {torch.cuda.get_device_name() if is_gpu else 'the processor'}:\n")
        print("| network | batch | images from | images/s | of the bare loop's | waiting for images |")
        print("|---|---|---|---|---|---|")
        for key in NETWORKS:
            batch_size = BATCH_SIZE_OF_GPU if is_gpu else BATCH_SIZES[key]
            num_steps = 2 * NUM_IMAGES_OF_GPU // batch_size if is_gpu else 2 * NUM_STEPS[key]
            could = run_loop("bare", key, batch_size, num_steps)
            print(f"| {key} | {batch_size} | none: the bare loop | {could:,.0f} | | |", flush=True)
            for title, (source, folder) in sources.items():
                speed, wait = run_fit(key, batch_size, num_steps, source, folder)
                share = f"{100 * speed / could:.0f} %"
                print(
                    f"| {key} | {batch_size} | {title} | {speed:,.0f} | {share} | {wait:.1f} % |", flush=True
                )
