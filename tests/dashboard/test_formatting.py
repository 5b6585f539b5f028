"""Numbers, times and words as people read them."""

import math
import re

import pytest

from dashboard.widgets import formatting
from tracking.entities import ACTIVE_STATUSES, TERMINAL_STATUSES


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0, "0"),
        (999, "999"),
        (1_000, "1.00 k"),
        (60_965_224, "61.0 M"),
        (138_357_544, "138 M"),
        (15_470_264_320, "15.5 G"),
    ],
)
def test_short_counts(number: float | None, text: str) -> None:
    assert formatting.short_count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (math.nan, "–"),  # noqa: RUF001
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3 * 3600 + 61, "3 h 1 min"),
        (86400 * 2 + 3600 * 5 + 59, "2 d 5 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (-9, "just now"), (30, "30 s ago"), (3599, "59 min ago"), (200_000, "2 d ago")],
)
def test_ago(seconds: float, text: str) -> None:
    assert formatting.ago(1000.0, now=1000.0 + seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.56, "5.6 %"), (0, "0.0 %"), (None, "–"), (math.nan, "–")],  # noqa: RUF001
)
def test_percent(value: float | None, text: str) -> None:
    assert formatting.percent(value) == text


@pytest.mark.parametrize(
    ("done", "total", "text"), [(2.4, 5, "2.4 / 5"), (5.1, 5, "5.0 / 5"), (3.0, 5, "3 / 5")]
)
def test_epochs(done: float, total: int, text: str) -> None:
    assert formatting.epochs(done, total) == text


@pytest.mark.parametrize("status", [*ACTIVE_STATUSES, *TERMINAL_STATUSES])
def test_every_status_has_word_and_icon_of_its_own(status: str) -> None:
    assert status in formatting.STATUSES
    badges = {one.icon for one in formatting.STATUSES.values()}
    assert len(badges) == len(formatting.STATUSES)


def test_an_unknown_status_is_readable() -> None:
    assert "Paused" in formatting.status_of("PAUSED").badge


@pytest.mark.parametrize(
    ("value", "text"), [(9.87, "9.9 images/s"), (1234.5, "1,234 images/s"), (99.96, "100.0 images/s")]
)
def test_rates(value: float, text: str) -> None:
    assert formatting.rate(value) == text


@pytest.mark.parametrize("name", ["$x$ and *y*", "a|b", ":material/home: [z](http://x)", "<b>", "`c`", "\\"])
def test_names_are_not_taken_for_markup(name: str) -> None:
    assert re.sub(r"\\(.)", r"\1", formatting.plain(name)) == name
    assert not re.search(r"(?<!\\)[`*\[\]<>|$]", re.sub(r"\\\\", "", formatting.plain(name)))


def test_a_number_keeps_its_unit() -> None:
    text = formatting.unbroken("Batches of 32 take 1.7 GB, 7 % of 24 GB, at 64 px, of 10 classes")
    assert text.replace("\u00a0", "_") == "Batches of 32 take 1.7_GB, 7_% of 24_GB, at 64_px, of 10 classes"


def test_sizes_and_nouns() -> None:
    assert formatting.size(25 * 2**30) == "25 GB" and formatting.size(5 * 2**20) == "5 MB"
    assert formatting.size(9 * 2**10) == "9 kB" and formatting.size(9) == "9 bytes"
    assert formatting.plural(1, "run") == "1 run" and formatting.plural(0, "run") == "0 runs"
    assert formatting.plural(1000, "image") == "1,000 images"
    assert formatting.metric_name("error_top1") == "top-1 error"
    assert formatting.metric_name("grad_norm") == "grad norm"
