"""A report comes back as it was written, and a damaged one counts as none."""

from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.checks.reports import (
    CheckReport,
    Finding,
    SplitSummary,
    find_report,
    list_reports,
    read_report,
    report_file,
    write_report,
)

SUMMARY = SplitSummary(
    num_images=3,
    num_unreadable=1,
    size_bytes=3000,
    per_class=(2, 1),
    formats={"JPEG": 2},
    modes={"RGB": 1, "L": 1},
    widths=(1, 2, 3, 4, 5, 6, 7),
    heights=(7, 7, 7, 7, 7, 7, 7),
)


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckReport:
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    return CheckReport(
        source="folder",
        root=str(tmp_path / "images"),
        class_names=("cat", "dog"),
        manifest="a" * 64,
        content="b" * 64,
        train=SUMMARY,
        val=replace(SUMMARY, num_images=2),
        mean=(0.4, 0.5, 0.6),
        std=(0.1, 0.2, 0.3),
        findings=(Finding("empty", "error", "One file is empty.", 1, ("train/cat/1.JPEG",)),),
        checked_at=1000.0,
        duration_s=2.5,
    )


def test_as_it_was_written(report: CheckReport, tmp_path: Path) -> None:
    assert read_report("folder", tmp_path / "images") is None and list_reports() == []
    write_report(report)
    assert read_report("folder", tmp_path / "images") == report
    assert (report.num_images, report.count("error"), report.count("note")) == (5, 1, 0)
    (tmp_path / "link").symlink_to(tmp_path / "images")
    assert read_report("folder", tmp_path / "link") == report
    assert read_report("tiny-imagenet", tmp_path / "images") is None


def test_found_by_the_manifest_of_a_run(report: CheckReport) -> None:
    write_report(report)
    later = replace(report, root=report.root + "-copy", checked_at=2000.0)
    write_report(later)
    embedded = replace(report, source="digits", root="", manifest="c" * 64, checked_at=3000.0)
    write_report(embedded)
    assert list_reports() == [embedded, later, report]
    assert find_report("a" * 64) == later and find_report("d" * 64) is None
    assert read_report("digits", None) == embedded


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 99}', '{"version": 1, "train": 3}'])
def test_a_damaged_one_counts_as_none(content: str, report: CheckReport, tmp_path: Path) -> None:
    file = report_file("folder", tmp_path / "images")
    assert file is not None and write_report(report) == file
    file.write_text(content)
    assert read_report("folder", tmp_path / "images") is None and list_reports() == []
