"""What a long command tells of itself."""

import errno
import json
import os
from pathlib import Path

import pytest

from datamodules import progress
from datamodules.problems import DataError, Reading
from datamodules.progress import Progress, Report, duration, read_progress


def test_the_file_follows_the_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FILE_INTERVAL_S", 0.0)
    file = tmp_path / "progress.json"
    assert read_progress(file) is None
    with Progress(file) as running:
        running.begin("Unpacking", 10, "images", done=4)
        running.advance(3)
        report = read_progress(file)
        assert report is not None
        assert (report.state, report.stage, report.done, report.total) == ("running", "Unpacking", 7, 10)
        assert report.text.startswith("Unpacking: 7 of 10 images (70%)")
    report = read_progress(file)
    assert report is not None and report.state == "done"
    assert [entry.name for entry in tmp_path.iterdir()] == ["progress.json"]


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (DataError("Bad."), "failed", "Bad."),
        (OSError(errno.ENOSPC, "No space left on device"), "failed", str(DataError(Reading.DISK_FULL))),
        (
            PermissionError(errno.EACCES, "Permission denied", b"/a\nb"),
            "failed",
            str(DataError(Reading.FAILED, file="/a\\nb", said="Permission denied")),
        ),
        (KeyboardInterrupt(), "stopped", "continues from here"),
        (ZeroDivisionError("x"), "failed", "ZeroDivisionError: x"),
    ],
)
def test_the_end_is_told(error: BaseException, state: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(type(error)), Progress(tmp_path / "p") as running:
        running.begin("Unpacking", None, "images")
        raise error
    report = read_progress(tmp_path / "p")
    assert report is not None and report.state == state and message in report.message


def test_the_end_is_told_where_no_file_can_be_made_any_more(tmp_path: Path) -> None:
    """As on a disk that is full."""
    with pytest.raises(OSError), Progress(tmp_path / "p") as running:
        running.begin("Unpacking", None, "images")
        (tmp_path / f".p.{os.getpid()}").mkdir()
        running.advance()
        raise OSError(errno.ENOSPC, "No space left on device")
    report = read_progress(tmp_path / "p")
    assert report is not None and report.state == "failed" and "The disk is full" in report.message


def test_a_file_that_cannot_be_written_from_the_beginning_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Progress(tmp_path / "none" / "p")


def test_rate_and_time_left_count_what_this_process_did(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    running = Progress()
    running.begin("Reading", 5_000_000, "bytes", done=1_000_000)
    for _ in range(100):
        now += 1.0
        running.advance(10_000)
    report = running.report
    assert report.rate == pytest.approx(10_000) and report.eta_s == pytest.approx(300)
    assert report.text == "Reading: 2.0 MB of 5.0 MB (40%), 10.0 kB/s, 5 min 00 s left"
    for _ in range(40):
        now += 1.0
        running.advance(20_000)
    assert running.report.rate == pytest.approx(20_000), "of the last half minute"


@pytest.mark.parametrize(
    ("unit", "done", "total", "rate", "text"),
    [
        ("images", 1200, 5000, 0.25, "Reading: 1,200 of 5,000 images (24%), 0.2 images/s"),
        ("images", 1200, 5000, 31.5, "Reading: 1,200 of 5,000 images (24%), 32 images/s"),
        ("images", 3, None, 0.0, "Reading: 3 images"),
        ("images", 0, 0, 0.0, "Reading: 0 of 0 images"),
        ("bytes", 2_500, 3 * 10**9, 10.0, "Reading: 2.5 kB of 3.0 GB (0%), 10 B/s"),
    ],
)
def test_a_report_in_one_line(unit: str, done: int, total: int | None, rate: float, text: str) -> None:
    assert Report("running", "Reading", done, total, unit, rate, None, "", 1, 0.0, 0.0).text == text


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "running"}', '"x"'])
def test_something_else_is_no_report(text: str, tmp_path: Path) -> None:
    (tmp_path / "p").write_text(text)
    assert read_progress(tmp_path / "p") is None


def test_an_unknown_state_is_no_report(tmp_path: Path) -> None:
    row = dict.fromkeys(Report.__dataclass_fields__, 0) | {"state": "odd"}
    (tmp_path / "p").write_text(json.dumps(row))
    assert read_progress(tmp_path / "p") is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3600, "1 h 00 min"), (90_000, "25 h 00 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
