"""Part 5: which lines of a step wait for the GPU; none should."""

from collections.abc import Iterator

import numpy as np

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.results import Row

SETTINGS = (
    *("--data.source", "synthetic", "--data.image_size", "224", "--data.batch_size", "32"),
    *("--trainer.max_steps", "40", "--trainer.limit_val_batches", "0", "--checkpoint_interval_s", "3600"),
)


def syncs(bench: Bench) -> Iterator[Row]:
    """Trains with everything that happens to a batch, one kind after the other."""
    if bench.is_small:
        yield Row("lines that wait", "needs a GPU: a CPU computes at once")
        return
    mean = bench.folder / "mean.npy"
    np.save(mean, np.full((3, 224, 224), 120, np.float32))
    kinds = {
        "resnet50, modern": ("--model.architecture", "resnet50", "--model.recipe", "modern"),
        "AlexNet, the paper's recipe": ("--model.architecture", "alexnet", "--model.recipe", "paper"),
        "a mean image": ("--model.architecture", "resnet18", "--data.mean_image", str(mean)),
        "heavy augmentation": ("--model.architecture", "resnet18", "--data.augmentation", "heavy"),
        "an average of the weights": ("--model.architecture", "resnet18", "--model.ema_decay", "0.9999"),
        "float16": ("--model.architecture", "resnet18", "--trainer.precision", "16-mixed"),
    }
    for name, arguments in kinds.items():
        fit = bench.fit(*SETTINGS, *arguments, probes=["Syncs"])
        found: dict[str, int] = fit.found.get("syncs", {})
        text = "; ".join(f"{line}: {count}" for line, count in found.items()) or "none"
        if fit.run.status != "FINISHED":
            text = fit.summary
        is_float16 = name == "float16"  # whose scaler has to look at the gradients
        yield Row(name, text, "" if is_float16 else "none", None if is_float16 else text == "none")
