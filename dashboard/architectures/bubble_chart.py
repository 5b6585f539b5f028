"""Errors against multiply-accumulates, each network a bubble as large as its parameters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.widgets.charts import build_figure

HEIGHT = 520
LARGEST_PX, SMALLEST_PX, STAR_PX = 40.0, 6.0, 16.0
# The area between the axes that labels are laid out for: on a wider page they only move apart.
AREA_WIDTH_PX, AREA_HEIGHT_PX = 430.0, 400.0
# How often every label may move again once all have found a place.
ROUNDS = 4
LETTER_PX, LINE_PX = 6.2, 14.0
# Where a label can stand from its bubble: right, down, and the edge of it that touches.
PLACES: Mapping[str, tuple[int, int]] = {
    "top center": (0, -1),
    "bottom center": (0, 1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, -1),
    "top left": (-1, -1),
    "bottom right": (1, 1),
    "bottom left": (-1, 1),
}

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Bubble:
    """One network: a published error, or a result of ours.

    Attributes:
        label: its name.
        group: its family, by which the legend goes.
        colour: of the family.
        macs: multiply-accumulates for one image.
        error: in percent.
        parameters: what its area stands for.
        detail: what it says when pointed at.
        is_hollow: whether others than the authors trained it.
        is_ours: whether it was measured here.
    """

    label: str
    group: str
    colour: str
    macs: float
    error: float
    parameters: int
    detail: str
    is_hollow: bool = False
    is_ours: bool = False


def bubble_chart(bubbles: Sequence[Bubble], y_title: str) -> go.Figure:
    """Draw the bubbles on a logarithmic axis of costs, large ones below small ones, each with its name."""
    bubbles = sorted(bubbles, key=lambda bubble: -bubble.parameters)
    x_range, y_range = axis_ranges(bubbles)
    sizes = diameters(bubbles)
    places = label_places(bubbles, sizes, x_range, y_range)
    traces: list[dict[str, Any]] = []
    for group in sorted({bubble.group for bubble in bubbles}):
        members = [index for index, bubble in enumerate(bubbles) if bubble.group == group]
        traces += _traces(group, [bubbles[i] for i in members], [sizes[i] for i in members])
    traces.append(_labels(bubbles, sizes, places))
    ticks = cost_ticks(10 ** x_range[0], 10 ** x_range[1])
    x_axis = {
        "type": "log",
        "range": x_range,
        "tickvals": ticks,
        "ticktext": [f"{tick / 1e9:g} G" if tick >= 1e9 else f"{tick / 1e6:g} M" for tick in ticks],
    }
    y_axis = {"range": y_range, "ticksuffix": " %"}
    title = "MACs for one image (logarithmic)"
    return build_figure(traces, title, y_title, HEIGHT, x_axis, y_axis, showlegend=True)


def diameters(bubbles: Sequence[Bubble]) -> list[float]:
    """Return the bubbles' diameters in pixels: areas go by parameters, ours are stars of one size."""
    most = max((bubble.parameters for bubble in bubbles), default=1)
    return [
        STAR_PX if bubble.is_ours else max(SMALLEST_PX, LARGEST_PX * math.sqrt(bubble.parameters / most))
        for bubble in bubbles
    ]


def axis_ranges(bubbles: Sequence[Bubble]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the axes (costs as powers of ten) room for all bubbles and their labels."""
    powers = [math.log10(bubble.macs) for bubble in bubbles] or [9.0]
    errors = [bubble.error for bubble in bubbles] or [0.0]
    across = max(max(powers) - min(powers), 0.3)
    up = max(max(errors) - min(errors), 1.0)
    return (
        (min(powers) - 0.14 * across, max(powers) + 0.14 * across),
        (max(0.0, min(errors) - 0.12 * up), max(errors) + 0.14 * up),
    )


def cost_ticks(lowest: float, highest: float) -> list[float]:
    """List the round numbers 1, 2, 5, 10 ... in a range."""
    powers = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    every = (digit * 10.0**power for power in powers for digit in (1, 2, 5))
    return [tick for tick in every if lowest <= tick <= highest]


def label_places(
    bubbles: Sequence[Bubble],
    sizes: Sequence[float],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> list[str]:
    """Find for each bubble the side on which its name hides least of the others, small bubbles last."""
    centres = [
        (
            AREA_WIDTH_PX * (math.log10(bubble.macs) - x_range[0]) / (x_range[1] - x_range[0]),
            AREA_HEIGHT_PX * (y_range[1] - bubble.error) / (y_range[1] - y_range[0]),
        )
        for bubble in bubbles
    ]
    marks = [(x - s / 2, y - s / 2, x + s / 2, y + s / 2) for (x, y), s in zip(centres, sizes, strict=True)]
    choices = [
        {place: _box(*centre, size, bubble.label, place) for place in PLACES}
        for centre, size, bubble in zip(centres, sizes, bubbles, strict=True)
    ]
    places: dict[int, str] = {}
    for _ in range(ROUNDS):
        for index, boxes in enumerate(choices):
            names = [choices[other][place] for other, place in places.items() if other != index]
            hidden = {place: _hidden(box, names, marks) for place, box in boxes.items()}
            places[index] = min(PLACES, key=hidden.__getitem__)
    return list(places.values())


def _box(x: float, y: float, size: float, label: str, place: str) -> Box:
    """Return the rectangle of a label in pixels: left, top, right, bottom."""
    right, down = PLACES[place]
    width = LETTER_PX * len(label)
    left = x - width / 2 + right * (width + size) / 2
    top = y - LINE_PX / 2 + down * (LINE_PX + size) / 2
    return left, top, left + width, top + LINE_PX


def _hidden(box: Box, names: Sequence[Box], marks: Sequence[Box]) -> float:
    """How much of a label overlaps with others (names count most) or sticks out, in square pixels."""
    outside = max(0.0, -box[0]) + max(0.0, box[2] - AREA_WIDTH_PX)
    on_names, on_marks = (sum(_overlap(box, other) for other in others) for others in (names, marks))
    return 4 * on_names + on_marks + outside * LINE_PX


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def _traces(group: str, members: Sequence[Bubble], sizes: Sequence[float]) -> list[dict[str, Any]]:
    """Return a family's bubbles, and its entry of the legend: a mark that is nowhere on the chart."""
    common = {"type": "scatter", "mode": "markers", "name": escape(group), "legendgroup": group}
    entry = {"x": [None], "y": [None], "marker": {"color": members[0].colour, "size": 12}}
    bubbles = {
        "showlegend": False,
        "x": np.array([bubble.macs for bubble in members]),
        "y": np.array([bubble.error for bubble in members]),
        "marker": {
            "size": np.array(sizes),
            "color": [bubble.colour for bubble in members],
            "symbol": [_symbol(bubble) for bubble in members],
            "opacity": 0.72,
            "line": {"width": 2, "color": [bubble.colour for bubble in members]},
        },
        "customdata": [bubble.detail for bubble in members],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    return [common | entry, common | bubbles]


def _symbol(bubble: Bubble) -> str:
    return "star" if bubble.is_ours else "circle-open" if bubble.is_hollow else "circle"


def _labels(bubbles: Sequence[Bubble], sizes: Sequence[float], places: Sequence[str]) -> dict[str, Any]:
    """Names in a trace of their own, above all bubbles."""
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": np.array([bubble.macs for bubble in bubbles]),
        "y": np.array([bubble.error for bubble in bubbles]),
        "text": [escape(bubble.label) for bubble in bubbles],
        "textposition": list(places),
        "textfont": {"size": 11},
        # Invisible, but as large as the bubbles: the names keep that distance.
        "marker": {"size": np.array(sizes), "opacity": 0},
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
