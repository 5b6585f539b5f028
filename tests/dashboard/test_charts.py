"""Figures from arrays: thinned without losing what matters, and light enough to send every two seconds."""

import dataclasses
import math

import numpy as np
import pytest

from dashboard.widgets import charts
from dashboard.widgets.charts import Line, Mark


def line(split: str = "val", length: int = 10, label: str = "vgg16") -> Line:
    x = np.arange(length, dtype=np.float64)
    return Line(label, "#1c7ed6", split, x, 50.0 / (x + 1))


def mark(label: str, x: float, y: float, published: bool = False) -> Mark:
    return Mark(label, "#1c7ed6", x, y, published, "detail")


def test_short_curves_stay_whole() -> None:
    x = np.arange(charts.MAX_POINTS, dtype=np.float64)
    thin_x, thin_y = charts.downsample(x, np.sin(x))
    assert np.array_equal(thin_x, x) and np.array_equal(thin_y, np.sin(x))


def test_long_curves_keep_their_extremes_and_ends() -> None:
    x = np.arange(100_000, dtype=np.float64)
    y = np.sin(x / 5000)
    y[54_321], y[77_777] = 9.0, -9.0
    thin_x, thin_y = charts.downsample(x, y)
    assert len(thin_x) <= charts.MAX_POINTS
    assert thin_y.max() == 9.0 and thin_y.min() == -9.0
    assert (thin_x[0], thin_x[-1]) == (0, 99_999) and (np.diff(thin_x) > 0).all()


@pytest.mark.parametrize("hole", [math.nan, math.inf])
def test_what_is_not_a_number_is_left_out(hole: float) -> None:
    x, y = charts.downsample(np.array([0.0, 1.0, 2.0, hole]), np.array([1.0, hole, 3.0, 4.0]))
    assert x.tolist() == [0, 2] and y.tolist() == [1, 3]


def test_curves_go_to_plotly_as_arrays_and_stay_small() -> None:
    lines = [line(split, 200_000, f"run {number}") for number in range(10) for split in ("train", "val")]
    figure = charts.curves(lines, "Step", "Loss")
    assert all(isinstance(trace.y, np.ndarray) for trace in figure.data)
    assert len(figure.to_json()) < 400_000, "20 curves, 20 kB each"


def test_validation_is_solid_and_training_dashed() -> None:
    figure = charts.curves([line("train"), line("val")], "Epoch", "Loss")
    val, train = figure.data
    assert (val.line.dash, train.line.dash) == ("solid", "dash")
    assert val.line.width > train.line.width and "validation" in val.hovertemplate
    assert (val.showlegend, train.showlegend) == (True, False), "one entry a run"


def test_one_point_is_seen() -> None:
    (trace,) = charts.curves([line(length=1)], "Epoch", "Loss").data
    assert trace.mode == "markers"


def test_a_name_is_not_taken_for_markup() -> None:
    (trace,) = charts.curves([line(label="<b>a</b>")], "Epoch", "Loss").data
    assert trace.name == "&lt;b&gt;a&lt;/b&gt;"


def test_without_a_point_the_chart_says_when_it_begins() -> None:
    figure = charts.curves([], "Epoch", "Loss", height=300)
    assert figure.layout.height == 300
    assert "starts with the first epoch" in figure.layout.annotations[0].text


def test_a_zoom_survives_a_refresh() -> None:
    figures = (charts.curves([line()], "Epoch", "Loss"), charts.scatter([mark("a", 1, 1)], "x", "y"))
    assert {figure.layout.uirevision for figure in figures} == {"keep"}


def test_published_errors_are_labelled_as_such() -> None:
    marks = [mark("vgg16", 1e8, 25.6, published=True), mark("vgg16", 1e8, 3.0)]
    published, here = charts.scatter(marks, "Parameters", "Top-1 error").data
    assert set(published.marker.symbol) == {"diamond-open"} and "paper" in published.name
    assert "(paper)" in published.text[0] and here.text[0] == "vgg16"


def test_labels_that_would_collide_part() -> None:
    close = [mark("a", 100, 10.0), mark("b", 101, 10.5)]
    assert charts.text_places(close) == ["bottom center", "top center"]
    assert charts.text_places([mark("a", 100, 10.0), mark("b", 9000, 10.5)]) == ["top center"] * 2
    same = dataclasses.replace(close[1], y=10.0)
    assert sorted(charts.text_places([close[0], same])) == ["bottom center", "top center"]
