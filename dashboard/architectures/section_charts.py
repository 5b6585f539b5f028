"""The figure of the challenge's years.

Axes and texts take their colours from Streamlit's theme, as in `charts`; what is coloured here can be read
on white and on near-black.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.architectures.ilsvrc import Entry, HumanEstimate
from dashboard.widgets import palette
from dashboard.widgets.charts import build_figure
from dashboard.widgets.stacked_bars import ink_on

# Grey that lets the background through, light or dark.
HOLLOW = "rgba(124, 134, 148, 0.18)"


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
    other = "<br>on different test images than from 2012 on" if entry.has_other_images else ""
    return (
        f"<b>{entry.team}</b>, {place} in {entry.year}<br>{entry.top5:g} % top-5 error{other}"
        f"<br>{entry.source}"
    )
