"""Check a source: read all images once, in parallel, and report statistics and problems."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.cache import cache_folder
from datamodules.checks.findings import find_all, list_labels
from datamodules.checks.inspection import Histogram
from datamodules.checks.readings import Readings, digest_content, read_chunks
from datamodules.checks.reports import PERCENTILES, CheckReport, SplitSummary, report_file, write_report
from datamodules.cores import count_cores
from datamodules.images import Channels, Images, Split
from datamodules.manifest import compute_manifest, forget_digest
from datamodules.problems import explain
from datamodules.progress import Progress
from datamodules.sources.folder import FolderSplit

SAVE_INTERVAL_S = 120.0
MAX_WORKERS = 16


def check(
    source: str, root: str, images: Images, progress: Progress, num_workers: int | None = None
) -> CheckReport:
    """Read all images and save the report; an interrupted check continues where it stopped.

    The report depends only on the images, not on the number of processes. It is returned even if it cannot be
    saved.

    Args:
        source: Key of the data source.
        root: Folder or address of the images; empty for a source that has none.
        images: Images of the opened source.
        progress: Shows the progress.
        num_workers: Number of processes that read; one per processor core if None.
    """
    began_s = time.time()
    splits: dict[str, Split] = {"train": images.train, "val": images.val}
    for split in splits.values():
        if isinstance(split, FolderSplit):
            forget_digest(split.index)
    manifest = compute_manifest(images)
    workers = num_workers or count_processors()
    kept = {name: _kept_file(source, root, name, split) for name, split in splits.items()}
    readings = {name: read(split, kept[name], name, progress, workers) for name, split in splits.items()}
    progress.begin("Comparing", None, "images", sum(map(len, splits.values())))
    content = [digest_content(split, readings[name]) for name, split in splits.items()]
    mean, std = measure_colour(readings["train"].histogram)
    report = CheckReport(
        source=source,
        root=root,
        class_names=images.class_names,
        manifest=manifest,
        content=hashlib.sha256(
            "\n".join([*images.class_names, *content]).encode(errors="replace")
        ).hexdigest(),
        train=summarise(images.train, readings["train"], len(images.class_names)),
        val=summarise(images.val, readings["val"], len(images.class_names)),
        mean=mean,
        std=std,
        findings=find_all(splits, readings, images.class_names),
        checked_at=time.time(),
        duration_s=time.time() - began_s + sum(one.earlier_s for one in readings.values()),
    )
    try:
        write_report(report)
    except OSError as error:
        progress.say(f"The report cannot be saved: {explain(error)}")
        return report
    for file in kept.values():
        if file:
            file.unlink(missing_ok=True)
    return report


def read(split: Split, kept: Path | None, name: str, progress: Progress, num_workers: int) -> Readings:
    """Read a split, except for images that an interrupted check has read.

    Args:
        split: The images.
        kept: File for intermediate results; none if None.
        name: Name of the split.
        progress: Shows the progress.
        num_workers: Number of processes that read.
    """
    readings = Readings(len(split))
    if kept:
        readings.load(kept, lambda rows: _is_current(split, rows))
    progress.begin(f"Reading {name}", len(split), "images", done=readings.done)
    began_s = saved_s = time.monotonic()
    earlier_s = readings.earlier_s
    try:
        for chunk in read_chunks(split, readings.done, num_workers):
            readings.add(chunk)
            progress.advance(len(chunk[0]))
            readings.earlier_s = earlier_s + time.monotonic() - began_s
            if kept and time.monotonic() - saved_s > SAVE_INTERVAL_S:
                readings.save(kept)
                saved_s = time.monotonic()
    finally:
        if kept and readings.done:
            with suppress(OSError):
                readings.save(kept)
    readings.earlier_s = earlier_s
    return readings


def measure_colour(histogram: Histogram) -> tuple[Channels, Channels]:
    """Return the exact mean and standard deviation of each channel over all pixels, where white is 1."""
    means, deviations = [], []
    for counts in histogram.tolist():
        count = sum(counts) or 1
        first = sum(value * times for value, times in enumerate(counts))
        second = sum(value * value * times for value, times in enumerate(counts))
        means.append(first / count / 255)
        # Python's integers have any size, so that no digits are lost in the difference of two large numbers.
        deviations.append(((count * second - first * first) / count**2) ** 0.5 / 255)
    return (means[0], means[1], means[2]), (deviations[0], deviations[1], deviations[2])


def summarise(split: Split, readings: Readings, num_classes: int) -> SplitSummary:
    """Return the statistics of a split."""
    rows = readings.rows[readings.is_readable()]

    def count(field: str) -> dict[str, int]:
        counts = np.bincount(rows[field], minlength=len(readings.words))
        named = {
            word: int(times) for word, times in zip(readings.words, counts, strict=True) if word and times
        }
        return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))

    def spread(field: str) -> tuple[int, ...]:
        if not len(rows):
            return ()
        return tuple(np.percentile(rows[field], PERCENTILES, method="nearest").tolist())

    return SplitSummary(
        num_images=len(split),
        num_unreadable=len(readings.errors),
        size_bytes=int(readings.rows["size"].sum()),
        per_class=tuple(np.bincount(list_labels(split), minlength=num_classes).tolist()),
        formats=count("format"),
        modes=count("mode"),
        widths=spread("width"),
        heights=spread("height"),
    )


def count_processors() -> int:
    """Return how many processes can read at a time without slowing each other down."""
    return min(count_cores(), MAX_WORKERS)


def _kept_file(source: str, root: str, name: str, split: Split) -> Path | None:
    cache, report = cache_folder(), report_file(source, root)
    if cache is None or report is None or not isinstance(split, FolderSplit):
        return None
    files = hashlib.sha256(split.index.names.data).hexdigest()[:16]
    return cache / "checks" / f"{report.stem}-{name}-{files}.npz"


def _is_current(split: Split, rows: NDArray[Any]) -> bool:
    """Return whether the files that were read have the same sizes and modification times as then."""
    assert isinstance(split, FolderSplit)
    folder = os.fsencode(split.folder) + b"/"
    times = rows[["size", "changed_ns"]].tolist()
    return all(
        _look(folder + name) == was
        for name, was in zip(split.index.encoded(0, len(rows)), times, strict=True)
    )


def _look(path: bytes) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - a million Paths take seconds
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
