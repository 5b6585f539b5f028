"""What ``python -m datamodules check`` has found in a set of images, kept in the user's cache."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from datamodules.cache import cache_folder, write_file
from datamodules.sources import is_address

VERSION = 1
# Names that a finding keeps; all are counted.
MAX_NAMED = 100
# Of the widths and heights of a split: smallest, ..., median, ..., largest.
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that a user may want to know about some files.

    Attributes:
        kind: A word for programs, such as ``empty``.
        severity: ``error`` costs images or teaches wrong labels, ``warning`` may, ``note`` is only odd.
        text: One sentence: what it is, and what it means for training.
        count: Files it is true for.
        names: Of the first of them, relative to the root, readable by people.
    """

    kind: str
    severity: Severity
    text: str
    count: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitSummary:
    """The images of training or of validation.

    Attributes:
        num_images: All of them.
        num_unreadable: Of them, those that cannot be decoded.
        size_bytes: Of all files; 0 for images that are no files.
        per_class: Images of each class, in the order of the labels.
        formats: Images of each format, by content, such as ``JPEG``.
        modes: Images of each kind of pixel as Pillow calls it: ``RGB``, ``L`` (grey), ``CMYK``, ...
        widths: In pixels, at ``PERCENTILES``; empty if no image can be read.
        heights: The same.
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
    """Everything that a check has found.

    Attributes:
        source: Key of the data source.
        root: Folder that was checked; empty for a source that has none.
        class_names: In the order of the labels.
        manifest: Digest of names, labels and sizes; that of every run on the same images.
        content: Digest of names, labels and the bytes of every file.
        mean: Over all pixels of all readable training images at their full size, where white is 1; per
            channel.
        std: Standard deviation of the same.
        findings: The gravest first.
        checked_at: Unix time in seconds at which it was complete.
        duration_s: Seconds it took, all sittings together.
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
        """Images of both splits."""
        return self.train.num_images + self.val.num_images

    def count(self, severity: Severity) -> int:
        """Returns how many kinds of findings there are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def report_file(source: str, root: Path | str | None) -> Path | None:
    """Returns where the report on a source at a place is kept; None for a user who has no cache.

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
    """Keeps a report in the place of an earlier one on the same images. Raises OSError."""
    file = report_file(report.source, report.root)
    if file:
        write_file(file, json.dumps(asdict(report)).encode())
    return file


def read_report(source: str, root: Path | str | None) -> CheckReport | None:
    """Returns the latest report on a source at a place; None if it was never checked."""
    file = report_file(source, root)
    return _read(file) if file else None


def list_reports() -> list[CheckReport]:
    """Returns every report there is, the latest first."""
    cache = cache_folder()
    found = map(_read, (cache / "reports").glob("*.json")) if cache else ()
    return sorted((report for report in found if report), key=lambda report: report.checked_at, reverse=True)


def find_report(manifest: str) -> CheckReport | None:
    """Returns the latest report on the images that a run was trained on, by the manifest of the run."""
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
        return None  # damaged, or of another version: as if it were not there


def _summary(values: dict[str, Any]) -> SplitSummary:
    fixed = {name: tuple(values[name]) for name in ("per_class", "widths", "heights")}
    return SplitSummary(**{**values, **fixed})
