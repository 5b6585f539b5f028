"""Figures: pure functions from arrays to plotly.

Axes and texts take their colours from Streamlit's theme (light or dark); only lines and marks are coloured
here. Every figure keeps `uirevision`, so that a zoom survives the refresh of a live page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

Values = NDArray[np.float64]
Trace = dict[str, Any]

MAX_POINTS = 500
# Up to here every point of a curve gets its mark.
FEW_POINTS = 40
CONFIG: Mapping[str, object] = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}


@dataclass(frozen=True)
class Line:
    """One curve: a metric of one run on one split."""

    label: str
    colour: str
    split: Literal["train", "val"]
    x: Values
    y: Values
    symbol: str = "circle"


@dataclass(frozen=True)
class Mark:
    """One point of a scatter: a run of ours, or what a paper published."""

    label: str
    colour: str
    x: float
    y: float
    published: bool
    detail: str
    symbol: str = "circle"


def downsample(x: Values, y: Values, max_points: int = MAX_POINTS) -> tuple[Values, Values]:
    """Thin a curve to the points that carry its shape (extremes included); short ones stay whole."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = np.ascontiguousarray(x[finite]), np.ascontiguousarray(y[finite])
    if len(y) <= max_points:
        return x, y
    kept = MinMaxLTTBDownsampler().downsample(x, y, n_out=max_points)  # type: ignore[no-untyped-call]
    return x[kept], y[kept]


def curves(
    lines: Iterable[Line],
    x_title: str,
    y_title: str,
    *,
    height: int = 420,
    log_y: bool = False,
    legend: bool = True,
    x_range: tuple[float, float] | None = None,
) -> go.Figure:
    """Overlay curves: validation solid with marks, training dashed and thinner; one colour a run."""
    traces: list[Trace] = []
    named: set[str] = set()
    for line in sorted(lines, key=lambda line: line.split != "val"):
        traces.append(_curve(line, legend=legend and line.label not in named))
        named.add(line.label)
    x_axis: dict[str, Any] = {"rangemode": "tozero", "range": x_range}
    if not traces:
        # As large as it will be, so that nothing jumps when the first point comes.
        note = {"text": "The curve starts with the first epoch.", "showarrow": False}
        place = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
        hidden = {"showticklabels": False}
        return build_figure([], x_title, y_title, height, x_axis, hidden, annotations=[note | place])
    y_axis = {"type": "log" if log_y else "linear", "rangemode": "normal" if log_y else "tozero"}
    return build_figure(traces, x_title, y_title, height, x_axis, y_axis)


def scatter(marks: Sequence[Mark], x_title: str, y_title: str, *, height: int = 380) -> go.Figure:
    """Set errors against a cost on a logarithmic axis; published ones are hollow diamonds."""
    groups = ([mark for mark in marks if mark.published == published] for published in (True, False))
    traces = [_points(group, height) for group in groups if group]
    x_axis = {"type": "log", "dtick": 1, "exponentformat": "SI"}
    # Room for the label of the topmost mark.
    tallest = max((mark.y for mark in marks), default=1.0)
    return build_figure(traces, x_title, y_title, height, x_axis, {"range": (0, tallest * 1.12 or 1.0)})


def text_places(marks: Sequence[Mark], height: int = 380) -> list[str]:
    """Place the text of each mark above it, or below where another mark is close above."""
    tallest = max((mark.y for mark in marks), default=1.0) or 1.0
    line = tallest * 60 / height

    def is_crowded(mark: Mark) -> bool:
        return any(
            abs(np.log10(other.x / mark.x)) < 0.45
            and (0 < other.y - mark.y < line or (other.y == mark.y and other.x > mark.x))
            for other in marks
        )

    return ["bottom center" if is_crowded(mark) else "top center" for mark in marks]


_SPLITS = {"val": "validation", "train": "training"}


def _curve(line: Line, *, legend: bool) -> Trace:
    x, y = downsample(line.x, line.y)
    val = line.split == "val"
    mode = "markers" if len(x) == 1 else "lines+markers" if val and len(x) <= FEW_POINTS else "lines"
    point = "<b>%{y:.4~g}</b> at %{x:.4~g}"
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "name": escape(line.label),
        "legendgroup": line.label,
        "showlegend": legend,
        "mode": mode,
        "line": {"color": line.colour, "width": 2.4 if val else 1.4, "dash": "solid" if val else "dash"},
        "marker": {"color": line.colour, "symbol": line.symbol, "size": 7 if val else 5},
        "opacity": 1.0 if val else 0.75,
        "hovertemplate": f"{point}<br>{escape(line.label)} · {_SPLITS[line.split]}<extra></extra>",
    }


def _points(group: Sequence[Mark], height: int) -> Trace:
    published = group[0].published
    return {
        "type": "scatter",
        "x": np.array([mark.x for mark in group]),
        "y": np.array([mark.y for mark in group]),
        "name": "paper, on ImageNet" if published else "runs here",
        "mode": "markers+text",
        "text": [f"<i>{mark.label} (paper)</i>" if published else escape(mark.label) for mark in group],
        "textposition": text_places(group, height),
        "textfont": {"size": 11},
        "cliponaxis": False,
        "marker": {
            "color": [mark.colour for mark in group],
            "symbol": ["diamond-open" if published else mark.symbol for mark in group],
            "size": 12,
            "line": {"width": 2},
        },
        "customdata": [mark.detail for mark in group],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def build_figure(
    traces: Sequence[Trace],
    x_title: str,
    y_title: str,
    height: int,
    x_axis: Mapping[str, Any],
    y_axis: Mapping[str, Any],
    **layout: Any,
) -> go.Figure:
    """Put traces and axes into the frame that all figures share."""
    # At once from plain dictionaries: adding and updating part by part took three times as long.
    common = {"automargin": True, "zeroline": False}
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0}
    return go.Figure(
        {
            "data": list(traces),
            "layout": {
                "height": height,
                "uirevision": "keep",
                "hovermode": "closest",
                "margin": {"l": 8, "r": 16, "t": 36, "b": 8},
                **layout,
                "legend": legend | layout.get("legend", {}),
                "xaxis": {"title": {"text": x_title}, **common, **x_axis},
                "yaxis": {"title": {"text": y_title}, **common, **y_axis},
            },
        }
    )
