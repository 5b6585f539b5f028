"""Stacked bars as HTML: shown immediately, while a chart library takes a second to load."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dashboard.widgets import palette

DARK_INK, LIGHT_INK = "#10151c", "#ffffff"
MOST_TICKS = 6


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
    unit: str = "",
) -> str:
    """Draw one horizontal bar for each name, its parts end to end in the order of their colours.

    Args:
        segments: bars appear from the top in the order they are first named.
        colours: of each part, in order.
        title: of the axis.
        limit: where the axis ends; where the longest bar does when None.
        unit: what stands behind the numbers of the axis.
    """
    bars: dict[str, list[Segment]] = {segment.bar: [] for segment in segments}
    for part in colours:
        for segment in segments:
            if segment.part == part:
                bars[segment.bar].append(segment)
    end = limit or max((sum(one.length for one in parts) for parts in bars.values()), default=1.0) or 1.0
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{''.join(_part(one, colours[one.part], end) for one in parts)}</dd>"
        for name, parts in bars.items()
    )
    marks = "".join(
        f'<span style="left:{100 * tick / end:.2f}%">{tick:g}{escape(unit)}</span>' for tick in ticks(end)
    )
    return (
        f'<figure class="stacked-bars"><dl>{rows}<dt></dt><dd class="axis">{marks}</dd></dl>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


def ticks(end: float) -> list[float]:
    """Return round numbers from 0 to where an axis ends: steps of 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(end / MOST_TICKS))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor * MOST_TICKS >= end)
    return [round(place * step, 10) for place in range(math.floor(end / step + 1e-9) + 1)]


def legend_html(colours: Mapping[str, str]) -> str:
    """Name colours in a line that breaks where the page is narrow."""
    entries = (
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in colours.items()
    )
    return f'<div class="bars-legend">{" ".join(entries)}</div>'


def ink_on(colour: str) -> str:
    """Return the colour of text that is read more easily on a colour: near-black or white."""
    return max((DARK_INK, LIGHT_INK), key=lambda ink: palette.contrast(ink, colour))


def _part(segment: Segment, colour: str, end: float) -> str:
    style = f"width:{100 * segment.length / end:.3f}%;background:{colour};color:{ink_on(colour)}"
    return f'<i style="{style}" title="{escape(segment.detail)}">{escape(segment.text)}</i>'
