"""Part 14: ResNet-20 on CIFAR-10 by the paper's recipe, for what is left of the time."""

import csv
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.results import Row
from datamodules.sources import cifar10
from tracking import series

PUBLISHED, SECONDS, EPOCHS = 8.75, 300, 164
CURVE = "cifar_resnet20.csv"
KEYS = ("train/loss", "val/loss", "val/error_top1", "train/images_per_s")
# What starting and the last checkpoint take, and what is too little to learn anything.
MARGIN_S, LEAST_S = 20.0, 45.0


def training(bench: Bench) -> Iterator[Row]:
    """Trains, stops in time, and keeps the curve."""
    root = find_images(bench)
    if root is None:
        yield Row("CIFAR-10", "not here: name its folder, or that of its archive's parts, with --data")
        return
    if bench.seconds < LEAST_S and not bench.is_small:
        yield Row("CIFAR-10", f"no time left: {bench.seconds:.0f} s")
        return
    run_id = bench.new_run()
    epochs = 1 if bench.is_small else EPOCHS
    short = ("--trainer.limit_train_batches", "4") if bench.is_small else ()
    began_s = time.monotonic()
    fit = bench.fit(
        *("--model.architecture", "cifar_resnet20", "--model.recipe", "paper", "--data.source", "cifar10"),
        *("--data.root", str(root), "--data.image_size", "32", "--data.batch_size", "128"),
        *("--trainer.max_epochs", str(epochs), *short),
        run_id=run_id,
        probes=["StopInTime"],
        environment={"BENCHMARK_SECONDS": str(bench.seconds - MARGIN_S)},
        timeout_s=bench.seconds + 60,
    )
    seconds = time.monotonic() - began_s
    write_curve(bench, run_id)
    run = bench.read_run(run_id)
    error = run.metrics.get("val/error_top1", float("nan"))
    done = f"{run.epoch or 0:.1f} of {epochs} epochs in {seconds:.0f} s"
    is_whole = fit.run.status == "FINISHED" and not bench.is_small
    yield Row("the paper's recipe", f"{fit.run.status}, {done}, {error:.2f} % top-1 error")
    yield Row(
        f"{PUBLISHED} % within its seeds, in {SECONDS} s",
        f"{error:.2f} % in {seconds:.0f} s" if is_whole else "not known: the run was cut off",
        f"{PUBLISHED} ± 0.5 %, below {SECONDS} s",
        error <= PUBLISHED + 0.5 and seconds < SECONDS if is_whole else None,
    )
    speed = run.metrics.get("train/images_per_s", float("nan"))
    yield Row(
        "pace", f"{speed:,.0f} images/s; the whole recipe takes {EPOCHS * 50_000 / speed:,.0f} s of training"
    )


def find_images(bench: Bench) -> Path | None:
    """Return the folder of CIFAR-10 among what was brought along; an archive in parts is joined first."""
    for folder in bench.data:
        if (folder / cifar10.NAME).is_dir() or (folder / cifar10.VAL[0]).is_file():
            return folder
        parts = sorted(folder.glob("*.part*"))
        whole = [file for file in folder.glob("*.tar*") if file not in parts]
        if parts and not whole:
            joined = bench.folder / "cifar10.tar"
            with joined.open("wb") as target:
                for part in parts:
                    target.write(part.read_bytes())
            whole = [joined]
        for archive in whole:
            with tarfile.open(archive) as opened:
                opened.extractall(bench.folder / "cifar10", filter="data")
            return bench.folder / "cifar10"
    return None


def write_curve(bench: Bench, run_id: str) -> None:
    """Write every point of the run."""
    points = bench.ask(lambda: read_points(bench, run_id))
    with (bench.output / CURVE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("metric", "step", "value"), *points])


def read_points(bench: Bench, run_id: str) -> list[tuple[str, int, float]]:
    """Return the metric, step and value of every point."""
    return [
        (key, step, value)
        for (_, key), points in series.read_series(bench.store, [run_id], list(KEYS)).items()
        for step, value in zip(points.steps.tolist(), points.values.tolist(), strict=True)
    ]
