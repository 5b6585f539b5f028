"""Reports of ``python -m datamodules check``, which are kept in the user's cache."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from datamodules.cache import cache_folder, write_file
from datamodules.sources import is_address

VERSION = 1
# Names that are kept for a finding; all images are counted.
MAX_NAMED = 100
# Percentiles of the widths and heights of a split, from the smallest to the largest.
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """A finding about some files.

    Attributes:
        kind: Code for programs, such as ``empty``.
        severity: ``error`` for lost images or wrong labels, ``warning`` if they are possible, otherwise
            ``note``.
        text: One sentence for people: the finding, and its effect on training.
        count: Number of files.
        names: Names of the first files for people, relative to the root.
    """

    kind: str
    severity: Severity
    text: str
    count: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitSummary:
    """Statistics of the training or validation images.

    Attributes:
        num_images: Number of images.
        num_unreadable: Number of images that cannot be decoded.
        size_bytes: Total size of all files; 0 for images without files.
        per_class: Number of images in each class, in the order of the labels.
        formats: Number of images in each format by content, such as ``JPEG``.
        modes: Number of images in each of Pillow's pixel modes: ``RGB``, ``L`` (greyscale), ``CMYK``, ...
        widths: Widths in pixels at ``PERCENTILES``; empty if no image can be read.
        heights: Heights in pixels at ``PERCENTILES``; empty if no image can be read.
    """

    num_images: int
    num_unreadable: int
    size_bytes: int
    per_class: tuple[int, ...]
    formats: dict[str, int]
    modes: dict[str, int]
    widths: tuple[int, ...]
    heights: tuple[int, ...]


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
        source: Key of the data source.
        root: Folder that was checked; empty for a source that has none.
        class_names: Class names in the order of the labels.
        manifest: Digest of names, labels and sizes, as runs on the same images record it.
        content: Digest of names, labels and the bytes of every file.
        train: Statistics of the training images.
        val: Statistics of the validation images.
        mean: Mean of each channel over all pixels of the readable training images at full size, where white
            is 1.
        std: Standard deviation of each channel over the same pixels.
        findings: All findings, the most severe first.
        checked_at: Unix time of the end in seconds.
        duration_s: Duration of the check in seconds, without interruptions.
    """

    source: str
    root: str
    class_names: tuple[str, ...]
    manifest: str
    content: str
    train: SplitSummary
    val: SplitSummary
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    findings: tuple[Finding, ...]
    checked_at: float
    duration_s: float
    version: int = VERSION

    @property
    def num_images(self) -> int:
        """Number of images in both splits."""
        return self.train.num_images + self.val.num_images

    def count(self, severity: Severity) -> int:
        """Return how many kinds of findings there are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def report_file(source: str, root: Path | str | None) -> Path | None:
    """Return the file of the report on a source at a root; None for a user without a cache.

    Args:
        source: Key of the data source.
        root: Folder or address of the images; None or empty for a source that has none.
    """
    cache = cache_folder()
    is_folder = root and not is_address(str(root))
    where = os.fsencode(Path(root).expanduser().resolve() if root and is_folder else root or b"")
    name = hashlib.sha256(source.encode() + b"\0" + where).hexdigest()[:16]
    return cache / "reports" / f"{name}.json" if cache else None


def write_report(report: CheckReport) -> Path | None:
    """Write a report, in place of an earlier one on the same images. Raises OSError."""
    file = report_file(report.source, report.root)
    if file:
        write_file(file, json.dumps(asdict(report)).encode())
    return file


def read_report(source: str, root: Path | str | None) -> CheckReport | None:
    """Return the latest report on a source at a root; None if it was never checked."""
    file = report_file(source, root)
    return _read(file) if file else None


def list_reports() -> list[CheckReport]:
    """Return all reports, the latest first."""
    cache = cache_folder()
    found = map(_read, (cache / "reports").glob("*.json")) if cache else ()
    return sorted((report for report in found if report), key=lambda report: report.checked_at, reverse=True)


def find_report(manifest: str) -> CheckReport | None:
    """Return the latest report on the images of a manifest, which runs record; None if there is none."""
    return next((report for report in list_reports() if report.manifest == manifest), None)


def _read(file: Path) -> CheckReport | None:
    try:
        values: dict[str, Any] = json.loads(file.read_bytes())
        if values["version"] != VERSION:
            return None
        splits = {name: _summary(values[name]) for name in ("train", "val")}
        findings = tuple(Finding(**{**found, "names": tuple(found["names"])}) for found in values["findings"])
        fixed = {name: tuple(values[name]) for name in ("class_names", "mean", "std")}
        return CheckReport(**{**values, **splits, **fixed, "findings": findings})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # damaged, or of another version


def _summary(values: dict[str, Any]) -> SplitSummary:
    fixed = {name: tuple(values[name]) for name in ("per_class", "widths", "heights")}
    return SplitSummary(**{**values, **fixed})
