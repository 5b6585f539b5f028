"""The Architectures page's parts: the table of networks, and one network layer by layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import catalogue, charts, formatting, palette
from dashboard.address import Field, between, keep, one_of, restore
from dashboard.architecture_rows import MEASURED, layer_rows, measured, network_rows
from dashboard.errors import show_problem
from dashboard.forms import option_fields, option_key, size_problem
from dashboard.workplace import open_store
from tracking.comparison import best_per_architecture

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger import Ledger

SIZES = (8, 1024)
CLASSES = (2, 100_000)


def show_networks() -> None:
    """Set all networks side by side, as in their papers: 1000 classes, the paper's image size."""
    error = st.column_config.NumberColumn(format="%.2f %%")
    st.dataframe(
        network_rows(
            catalogue.architectures(),
            catalogue.costs("parameters"),
            catalogue.costs("macs"),
            measured(best_per_architecture(open_store())),
        ),
        hide_index=True,
        column_config={
            "Network": st.column_config.TextColumn(pinned=True),
            "Year": st.column_config.NumberColumn(format="%d"),
            "Paper": st.column_config.LinkColumn(display_text=r"#(.*)$"),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "MACs": st.column_config.NumberColumn(format="localized"),
            MEASURED: st.column_config.TextColumn(
                help="The lowest val error of the runs in this store, with the images it was measured on. "
                "Only a run on ImageNet can be set against a published error."
            ),
            "Published top-1": error,
            "Published top-5": error,
        },
        placeholder=formatting.NOTHING,
        alt="All networks with year, parameters, MACs, errors measured here and published errors",
    )


def choose_network() -> "tuple[Architecture, Ledger]":
    """Ask for a network, an image size and a number of classes; count it."""
    architectures = catalogue.architectures()
    fields = network_fields(architectures)
    restore(fields)
    with st.container(horizontal=True, gap="medium"):
        key = st.selectbox(
            "Network",
            list(architectures),
            format_func=lambda key: architectures[key].name,
            key="network",
            width=240,
        )
        architecture = architectures[key]
        placeholder = f"{architecture.input_size}, the paper's"
        image_size = st.number_input(
            "Image size, px", *SIZES, None, placeholder=placeholder, width=180, key="size"
        )
        num_classes = st.number_input("Classes", *CLASSES, width=140, key="classes")
        options = {
            name: st.segmented_control(
                formatting.metric_name(name).capitalize(),
                list(allowed),
                required=True,
                key=option_key(key, name),
            )
            or allowed[0]
            for name, allowed in architecture.options.items()
        }
    keep(fields)
    if problem := size_problem(image_size or architecture.input_size, [architecture]):
        show_problem(problem)
        st.stop()
    return architecture, catalogue.ledger(key, num_classes, image_size, options)


def network_fields(architectures: "Mapping[str, Architecture]") -> dict[str, Field]:
    """Name the fields that choose a network."""
    return {
        "network": Field(next(iter(architectures)), one_of(architectures)),
        "size": Field(None, between(*SIZES)),
        "classes": Field(1000, between(*CLASSES)),
        **option_fields(architectures),
    }


def show_about(architecture: "Architecture", ledger: "Ledger") -> None:
    """Show where the network comes from and what it costs in all."""
    paper = architecture.paper
    st.markdown(f"[{paper.title}]({paper.url}), {paper.authors}, {paper.venue}. {architecture.note}")
    figures = {
        "Parameters": formatting.exact_count(ledger.parameters),
        "MACs for one image": formatting.exact_count(ledger.macs),
        "Layers with weights": str(sum(layer.parameters > 0 for layer in ledger.layers)),
    }
    if ledger.parameters_with_auxiliary != ledger.parameters:
        figures["With auxiliary heads"] = formatting.exact_count(ledger.parameters_with_auxiliary)
    with st.container(horizontal=True, gap="medium"):
        for label, value in figures.items():
            st.metric(label, value, width=200)


def show_layers(architecture: "Architecture", ledger: "Ledger") -> None:
    """Show where parameters and MACs are: a bar for each stage, a row for each layer."""
    colour = palette.pick_colours([architecture.key])[architecture.key]
    for column, (cost, title) in zip(
        st.columns(2, gap="medium"), (("parameters", "Parameters"), ("macs", "MACs")), strict=True
    ):
        with column:
            stages = [stage for stage in ledger.stages if getattr(stage, cost)]
            counts = [getattr(stage, cost) for stage in stages]
            figure = charts.layer_bars([stage.name for stage in stages], counts, colour, title)
            st.plotly_chart(figure, key=f"stages-{cost}", config=dict(charts.CONFIG), alt=f"{title} by stage")
    st.dataframe(
        layer_rows(ledger),
        hide_index=True,
        column_config=LAYER_COLUMNS,
        height=520 if len(ledger.layers) > 13 else "content",
        alt="Parameters by layer",
    )


LAYER_COLUMNS = {
    "Parameters": st.column_config.NumberColumn(format="localized"),
    "MACs": st.column_config.NumberColumn(format="localized"),
    "Share of parameters": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100),
}


def show_published(architecture: "Architecture") -> None:
    """List the errors published for the network, each with protocol and source."""
    rows = [
        f"| {_unbroken(one.top1)} | {_unbroken(one.top5)} | {one.split} | {one.protocol} "
        f"| {one.models} | {one.source} |"
        for one in architecture.published
    ]
    head = "| Top-1 | Top-5 | Images | Protocol | Networks | Source |\n|--:|--:|:--|:--|--:|:--|"
    st.markdown("\n".join([head, *rows]))


def _unbroken(error: float | None) -> str:
    return formatting.percent(error).replace(" ", "\u00a0")
