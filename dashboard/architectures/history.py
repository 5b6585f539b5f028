"""The history: who won the ImageNet challenge from 2010 to 2015, and with what error."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.architectures import section_charts
from dashboard.architectures.families import network_colours
from dashboard.architectures.ilsvrc import ENTRIES, HUMAN, Entry
from dashboard.networks import catalogue
from dashboard.widgets import charts, formatting

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

# Where a network of the catalogue is shown; relative, so that it works wherever the dashboard is served.
ADDRESS = "architectures?network={key}#{name}"


def show_history() -> None:
    """Show the winners' errors by year, and the same figures with their sources as a table."""
    architectures = catalogue.architectures()
    figure = section_charts.challenge_years(ENTRIES, HUMAN, network_colours(architectures))
    st.plotly_chart(figure, key="history", config=dict(charts.CONFIG), alt=history_text(ENTRIES))
    st.caption(
        "Top-5 error of classification on each year's own test images. Hollow: 2010 and 2011 had other test "
        "images, so their bars cannot be compared exactly with the later ones. Dashed: one person's error, "
        f"estimated on {HUMAN.images:,} of the images ({HUMAN.source}). Most entries average "
        "several networks; the error of a single network is given under each network's published errors."
    )
    st.dataframe(
        history_rows(ENTRIES, architectures),
        hide_index=True,
        column_config={
            "Year": st.column_config.NumberColumn(format="%d", pinned=True, width=60),
            "Top-5 error": st.column_config.TextColumn(alignment="right"),
            "With additional images": st.column_config.TextColumn(alignment="right"),
            "In this catalogue": st.column_config.LinkColumn(display_text=r"#(.*)$"),
        },
        placeholder=formatting.NOTHING,
        alt="Entries of the ImageNet challenge with year, team, error and source",
    )


def history_rows(
    entries: Sequence[Entry], architectures: "Mapping[str, Architecture]"
) -> list[dict[str, object]]:
    """Describe each entry in a row, with a link to the first of its networks that the catalogue has."""
    return [
        {
            "Year": entry.year,
            "Entry": entry.team,
            "Place": "1st" if entry.is_winner else "2nd",
            # With the digits of the source: not all have as many.
            "Top-5 error": f"{entry.top5:g} %",
            "With additional images": None
            if entry.with_outside_images is None
            else f"{entry.with_outside_images:g} %",
            "Networks averaged": entry.models,
            "In this catalogue": next(
                (
                    ADDRESS.format(key=key, name=architectures[key].name)
                    for key in entry.networks
                    if key in architectures
                ),
                None,
            ),
            "Note": " ".join(
                part for part in ("Different test images." * entry.has_other_images, entry.note) if part
            ),
            "Source": entry.source,
        }
        for entry in entries
    ]


def history_text(entries: Sequence[Entry]) -> str:
    """Describe what the chart shows."""
    winners = (f"{entry.year} {entry.team} {entry.top5:.1f} %" for entry in entries if entry.is_winner)
    return f"Top-5 error of the winners: {', '.join(winners)}; a person {HUMAN.top5} %"
