"""Stacked bars: axes with round numbers, nothing of a name taken for HTML."""

import pytest

from dashboard.widgets.stacked_bars import DARK_INK, LIGHT_INK, Segment, ink_on, stacked_bars, ticks


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (100, [0, 20, 40, 60, 80, 100]),
        (138.4, [0, 25, 50, 75, 100, 125]),
        (19.6, [0, 5, 10, 15]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.014, [0, 0.0025, 0.005, 0.0075, 0.01, 0.0125]),
    ],
)
def test_an_axis_has_round_numbers(end: float, expected: list[float]) -> None:
    assert ticks(end) == expected


def test_the_longest_bar_fills_the_axis() -> None:
    bars = [Segment("a", "x", 3, "3", ""), Segment("a", "y", 1, "", ""), Segment("b", "x", 2, "", "")]
    drawn = stacked_bars(bars, {"y": "#000000", "x": "#ffffff"}, "amounts")
    assert drawn.index("width:25.000%") < drawn.index("width:75.000%"), "in the order of the colours"
    assert "width:50.000%" in drawn and f"color:{DARK_INK}" in drawn and f"color:{LIGHT_INK}" in drawn


def test_names_are_text() -> None:
    drawn = stacked_bars([Segment("<b>", "x", 1, "<i>", '"<u>')], {"x": "#000000"}, "<s>")
    assert not any(tag in drawn for tag in ("<b>", "<u>", "<s>", '""')) and "&lt;b&gt;" in drawn


def test_text_can_be_read_on_every_colour() -> None:
    assert (ink_on("#ffffff"), ink_on("#000000")) == (DARK_INK, LIGHT_INK)
