"""Figures of the Architectures page: stacked bars and the years of the challenge.

Axes and texts take their colours from Streamlit's theme, as in `charts`; what is coloured here can be read
on white and on near-black.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go

from dashboard import palette
from dashboard.charts import build_figure
from dashboard.ilsvrc import Entry, HumanEstimate

DARK_INK, LIGHT_INK = "#10151c", "#ffffff"
BAR_PX = 46
# Grey that lets the background through, light or dark.
HOLLOW = "rgba(124, 134, 148, 0.18)"


@dataclass(frozen=True)
class Segment:
    """One part of a stacked bar: how long it is, what it says inside and when pointed at."""

    bar: str
    part: str
    length: float
    text: str
    detail: str


def stacked_bars(
    segments: Sequence[Segment],
    colours: Mapping[str, str],
    title: str,
    *,
    limit: float | None = None,
    tick_suffix: str = "",
) -> go.Figure:
    """Draw one horizontal bar for each name, its parts end to end in the order of their colours.

    Args:
        segments: bars appear from the top in the order they are first named.
        colours: of each part, in order.
        title: of the axis.
        limit: where the axis ends; where the longest bar does when None.
        tick_suffix: what stands behind the numbers of the axis.
    """
    bars = list(dict.fromkeys(segment.bar for segment in segments))
    traces = []
    for part, colour in colours.items():
        found = [segment for segment in segments if segment.part == part]
        if not found:
            continue
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": escape(part),
                "y": [segment.bar for segment in found],
                "x": np.array([segment.length for segment in found]),
                "text": [segment.text for segment in found],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "constraintext": "none",
                "textfont": {"color": ink_on(colour), "size": 11},
                "marker": {"color": colour, "line": {"width": 0}},
                "customdata": [segment.detail for segment in found],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    x_axis = {"ticksuffix": tick_suffix, "range": None if limit is None else (0, limit)}
    y_axis = {"autorange": "reversed", "showgrid": False, "categoryorder": "array", "categoryarray": bars}
    margin = {"l": 8, "r": 24, "t": 8, "b": 8}
    height = 58 + BAR_PX * len(bars)
    layout = {"barmode": "stack", "bargap": 0.28, "showlegend": False, "margin": margin}
    return build_figure(traces, title, "", height, x_axis, y_axis, **layout)


def legend_html(colours: Mapping[str, str]) -> str:
    """Name colours in a line that breaks where the page is narrow, which a figure's own legend does not."""
    square = (
        "display:inline-block;width:0.75em;height:0.75em;border-radius:2px;margin-right:0.4em;background:"
    )
    entries = (
        f'<span style="white-space:nowrap;margin-right:1.1em"><span style="{square}{colour}"></span>'
        f"{escape(name)}</span>"
        for name, colour in colours.items()
    )
    return f'<div style="font-size:0.85rem;line-height:1.7">{" ".join(entries)}</div>'


def ink_on(colour: str) -> str:
    """Give the colour of text that is read more easily on a colour: near-black or white."""
    return max((DARK_INK, LIGHT_INK), key=lambda ink: palette.contrast(ink, colour))


def challenge_years(
    entries: Sequence[Entry], human: HumanEstimate, colours: Mapping[str, str], height: int = 380
) -> go.Figure:
    """Draw a bar for each year's winner, a diamond for who came second, a line for a person.

    Args:
        entries: in the order of their years.
        human: the error of a person.
        colours: of the networks the winners were made of; grey where there is none.
        height: of the figure in pixels.
    """
    winners = [entry for entry in entries if entry.is_winner]
    seconds = [entry for entry in entries if not entry.is_winner]
    # One after the other, and the second of a year beside the first.
    places = {entry.year: place for place, entry in enumerate(winners)}
    shades = [_entry_colour(entry, colours) for entry in winners]
    bars = {
        "type": "bar",
        "x": np.array([places[entry.year] for entry in winners]),
        "y": np.array([entry.top5 for entry in winners]),
        "width": 0.6,
        "text": [f"{entry.top5:.1f} %" for entry in winners],
        # Above a bar, or in the middle of a low one: never where the person's line runs through it.
        "textposition": ["outside" if entry.top5 > 2 * human.top5 else "inside" for entry in winners],
        "insidetextanchor": "middle",
        "insidetextfont": {"color": [ink_on(shade) for shade in shades]},
        "textangle": 0,
        "marker": {
            "color": [
                HOLLOW if entry.has_other_images else shade
                for entry, shade in zip(winners, shades, strict=True)
            ],
            "line": {"color": shades, "width": 2},
        },
        "customdata": [_entry_detail(entry) for entry in winners],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    diamonds = {
        "type": "scatter",
        "mode": "markers+text",
        "x": np.array([places[entry.year] + 0.42 for entry in seconds]),
        "y": np.array([entry.top5 for entry in seconds]),
        "text": [f"2nd: {entry.team} {entry.top5:.1f} %" for entry in seconds],
        "textposition": "top center",
        "cliponaxis": False,
        "marker": {
            "symbol": "diamond-open",
            "size": 11,
            "line": {"width": 2},
            "color": [_entry_colour(entry, colours) for entry in seconds],
        },
        "customdata": [_entry_detail(entry) for entry in seconds],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    line = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": human.top5,
        "y1": human.top5,
        "line": {"dash": "dash", "width": 1.6, "color": palette.GREY},
    }
    note = {
        "xref": "paper",
        "x": 1.0,
        "xanchor": "left",
        "y": human.top5,
        "text": f" a person:<br> {human.top5} %",
        "align": "left",
        "showarrow": False,
    }
    x_axis = {
        "tickvals": list(places.values()),
        "ticktext": [f"{entry.year}<br>{entry.team}" for entry in winners],
    }
    y_axis = {"rangemode": "tozero", "range": (0, max(entry.top5 for entry in entries) * 1.08)}
    layout = {"shapes": [line], "annotations": [note], "showlegend": False}
    margin = {"l": 8, "r": 76, "t": 16, "b": 8}
    return build_figure(
        [bars, diamonds], "", "Top-5 error, %", height, x_axis, y_axis, **layout, margin=margin
    )


def _entry_colour(entry: Entry, colours: Mapping[str, str]) -> str:
    return next((colours[key] for key in entry.networks if key in colours), palette.GREY)


def _entry_detail(entry: Entry) -> str:
    place = "first" if entry.is_winner else "second"
    other = "<br>on other test images than from 2012 on" if entry.has_other_images else ""
    return (
        f"<b>{entry.team}</b>, {place} in {entry.year}<br>{entry.top5:g} % top-5 error{other}"
        f"<br>{entry.source}"
    )
