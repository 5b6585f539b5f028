"""Up to four networks side by side, aligned by the resolution of their maps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd  # type: ignore[import-untyped]
import streamlit as st

from dashboard.architectures import resolutions
from dashboard.architectures.resolutions import COSTS, HEAD, Cost, Split
from dashboard.launch.problems import size_problem
from dashboard.networks import catalogue
from dashboard.widgets import formatting, palette, stacked_bars
from dashboard.widgets.address import Field, between, keep, one_of, restore
from dashboard.widgets.problems import show_problem
from dashboard.widgets.stacked_bars import Segment

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

Fields = Mapping[str, Field]

MOST = 4
DEFAULT_NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet152")
SIZES = (8, 1024)
BARS: Mapping[str, str] = {"share": "Shares", "amount": "Amounts"}
# From the image to the classes: violet, blue, teal, ochre ... and vermilion for what knows no pixels.
PLACE_COLOURS = (5, 1, 6, 2, 4, 7, 3, 8)
HEAD_COLOUR = palette.COLOURS[0]
# A part of a bar narrower than this, in percent of the axis, has no room for its text.
NARROW = 9.0
MEGABYTES = "Activations, MB"
# What an axis of amounts is called, and its unit.
AMOUNTS: Mapping[Cost, tuple[str, float]] = {
    "parameters": ("Parameters, millions", 1e6),
    "macs": ("GMAC for one image", 1e9),
    "activation_bytes": ("Activation memory for one image, MB in float32", 2**20),
}
TABLE_COSTS: Mapping[Cost, tuple[str, int]] = {
    "parameters": ("Parameters", 1),
    "macs": ("MACs", 1),
    "activation_bytes": (MEGABYTES, 2**20),
}


def show_side_by_side(page: Fields | None = None) -> None:
    """Ask for networks and show where their parameters, operations and activations are.

    Args:
        page: further fields that the address keeps.
    """
    networks = catalogue.architectures()
    fields = side_by_side_fields(networks)
    restore(fields)
    keys, image_size, bars = _choose(networks)
    keep({**(page or {}), **fields})
    if not keys:
        st.info(
            "Choose two to four networks above to set them side by side.", icon=":material/compare_arrows:"
        )
        return
    chosen = [networks[key] for key in keys]
    if problem := size_problem(image_size or min(one.input_size for one in chosen), chosen):
        show_problem(problem)
        return
    splits = [_take_apart(networks[key], image_size) for key in keys]
    st.markdown("\n".join(f"- {sentence}" for sentence in sentences(splits)))
    _show_bars(splits, bars)
    _show_table(splits)


def side_by_side_fields(networks: "Mapping[str, Architecture]") -> dict[str, Field]:
    """Name the fields that choose what is set side by side."""
    return {
        "compare": Field([key for key in DEFAULT_NETWORKS if key in networks], one_of(networks), many=True),
        "compare_size": Field(None, between(*SIZES)),
        "bars": Field("share", one_of(BARS)),
    }


def _choose(networks: "Mapping[str, Architecture]") -> tuple[list[str], int | None, str]:
    # An address can name more networks than fit beside each other.
    st.session_state["compare"] = st.session_state["compare"][:MOST]
    keys = st.multiselect(
        "Networks, at most four",
        list(networks),
        format_func=lambda key: networks[key].name,
        max_selections=MOST,
        key="compare",
        placeholder="Choose two to four networks",
    )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        sizes = sorted({networks[key].input_size for key in keys})
        placeholder = f"{sizes[0]}, the papers'" if len(sizes) == 1 else "each its paper's"
        image_size = st.number_input(
            "Image size, px", *SIZES, None, placeholder=placeholder, width=220, key="compare_size"
        )
        bars = st.segmented_control(
            "Bars show", list(BARS), format_func=lambda key: BARS[key], required=True, key="bars"
        )
    return keys, image_size, bars or "share"


def _take_apart(network: "Architecture", image_size: int | None) -> Split:
    ledger = catalogue.ledger(network.key, None, image_size, {})
    return resolutions.take_apart(network.name, network.depth, image_size or network.input_size, ledger)


def sentences(splits: Sequence[Split]) -> list[str]:
    """Describe where each network's parameters are, and why the dearest is dearer than the deepest."""
    found = [resolutions.parameters_sentence(split) for split in splits]
    return [*found, *filter(None, [resolutions.price_sentence(splits)])]


def _show_bars(splits: Sequence[Split], bars: str) -> None:
    colours = place_colours(splits)
    figures = [stacked_bars.legend_html(colours)]
    for cost, title in COSTS.items():
        figures.append(
            stacked_bars.stacked_bars(
                segments(splits, cost, bars),
                colours,
                AMOUNTS[cost][0] if bars == "amount" else f"{title}, share",
                limit=100 if bars == "share" else None,
                unit=" %" if bars == "share" else "",
            )
        )
    st.html("".join(figures))


def place_colours(splits: Sequence[Split]) -> dict[str, str]:
    """Return each resolution its colour, the same one whichever networks have it."""
    return {
        resolutions.place_name(place, splits): HEAD_COLOUR
        if place == HEAD
        else palette.COLOURS[PLACE_COLOURS[min(place, len(PLACE_COLOURS) - 1)]]
        for place in resolutions.every_place(splits)
    }


def segments(splits: Sequence[Split], cost: Cost, bars: str) -> list[Segment]:
    """Lay each network's parts end to end, from the image to the classes.

    Args:
        splits: one for each bar.
        cost: what the lengths stand for.
        bars: `share` of the network's own total, or `amount`.
    """
    longest = max(split.total(cost) for split in splits)
    found = []
    for split in splits:
        so_far = 0.0
        for place, part in split.parts.items():
            amount, share = getattr(part, cost), split.share(cost, [place])
            if not amount:
                continue
            so_far += share
            name = resolutions.place_name(place, splits)
            length = share if bars == "share" else amount / AMOUNTS[cost][1]
            width = share if bars == "share" else 100 * amount / max(1, longest)
            own = resolutions.place_name(place, [split])
            detail = (
                f"{split.name}, {own}\n{cost_text(cost, amount)}: {share:.1f} %"
                f"\n{so_far:.1f} % from the image to here\n{', '.join(part.stages)}"
            )
            text = f"{'fc' if place == HEAD else part.side}\n{share:.0f} %"
            found.append(Segment(split.name, name, length, text if width >= NARROW else "", detail))
    return found


def cost_text(cost: Cost, amount: int) -> str:
    """Write an amount with its unit."""
    if cost == "activation_bytes":
        return f"{amount / 2**20:.1f} MB"
    return f"{formatting.short_count(amount)} {'parameters' if cost == 'parameters' else 'MACs'}"


def _show_table(splits: Sequence[Split]) -> None:
    count = st.column_config.NumberColumn(format="localized")
    megabytes = st.column_config.NumberColumn(format="%.2f")
    table = resolution_table(splits)
    # By place, the resolution being 0: columns that stand in groups have no name of their own.
    formats = {"Parameters": count, "MACs": count, MEGABYTES: megabytes}
    by_place: dict[Any, Any] = {
        place: formats[name] for place, (_, name) in enumerate(table.columns, 1) if name in formats
    }
    st.dataframe(
        table,
        column_config=by_place,
        placeholder=formatting.NOTHING,
        alt="Shapes, parameters, MACs and activation memory by resolution",
    )
    st.caption(
        "Each row is one number of halvings of the image, so that maps of 55 and 56 px are in the same row. "
        "A layer is counted at the resolution of its output; a shape is that of the last stage that ends "
        "there. Activations are what is kept for the backward pass, for one image in float32; auxiliary "
        "heads are left out."
    )


def resolution_table(splits: Sequence[Split]) -> pd.DataFrame:
    """Set the networks' parts beside each other: a row for each resolution, and one for all."""
    places = resolutions.every_place(splits)
    columns: dict[tuple[str, str], list[object]] = {}
    for split in splits:
        parts = [split.parts.get(place) for place in places]
        shapes = [None if part is None else " x ".join(map(str, part.output_shape)) for part in parts]
        columns[split.name, "Shape"] = [*shapes, None]
        for cost, (name, unit) in TABLE_COSTS.items():
            amounts = [None if part is None else getattr(part, cost) / unit for part in parts]
            columns[split.name, name] = [*amounts, split.total(cost) / unit]
    table = pd.DataFrame(columns, index=[*(resolutions.place_name(place, splits) for place in places), "All"])
    table.columns = pd.MultiIndex.from_tuples(columns)
    table.index.name = "Resolution"
    return table
