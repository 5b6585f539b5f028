"""One network opened: its paper, what it costs, its drawing, its ledger, its published errors."""

from typing import TYPE_CHECKING

import streamlit as st

from dashboard.architectures import gallery
from dashboard.architectures.rows import FLOAT32_BYTES, layer_rows
from dashboard.architectures.sections import CLASSES, SIZES, network_fields
from dashboard.architectures.stage_bars import stage_bars
from dashboard.launch.fields import option_key
from dashboard.launch.problems import size_problem
from dashboard.networks import catalogue, drawing
from dashboard.widgets import formatting
from dashboard.widgets.address import keep
from dashboard.widgets.problems import show_problem

if TYPE_CHECKING:
    from dashboard.networks.parts import DrawnStage
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger.table import Ledger

# A card far down opens its network at the top.
TO_TOP = "<script>document.querySelector('[data-testid=\"stMain\"]').scrollTo(0, 0)</script>"
LONG_TABLE = 13


def choose_network() -> "tuple[Architecture, Ledger, tuple[DrawnStage, ...]]":
    """Ask for a network, an image size and a number of classes; measure it."""
    architectures = catalogue.architectures()
    st.html(TO_TOP, unsafe_allow_javascript=True)
    st.button(
        "All networks",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=gallery.open_network,
        args=(None,),
    )
    with st.container(horizontal=True, gap="medium"):
        key = st.selectbox(
            "Network",
            list(architectures),
            format_func=lambda key: architectures[key].name,
            key="network",
            width=240,
        )
        architecture = architectures[key]
        image_size = st.number_input(
            "Image size, px",
            *SIZES,
            None,
            placeholder=f"{architecture.input_size}, the paper's",
            width=180,
            key="size",
        )
        num_classes = st.number_input(
            "Classes",
            *CLASSES,
            None,
            placeholder=f"{architecture.num_classes}, the paper's",
            width=180,
            key="classes",
        )
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
    keep(network_fields(architectures))
    if problem := size_problem(image_size or architecture.input_size, [architecture]):
        show_problem(problem)
        st.stop()
    chosen = (key, num_classes, image_size, options)
    return architecture, catalogue.ledger(*chosen), catalogue.structure(*chosen)


def show_about(architecture: "Architecture", ledger: "Ledger") -> None:
    """Show where the network comes from, what it costs in all, and what others made of it."""
    paper = architecture.paper
    st.title(architecture.name, anchor=False)
    st.markdown(f"[{paper.title}]({paper.url}), {paper.authors}, {paper.venue}. {architecture.note}")
    with st.container(horizontal=True, gap="medium"):
        for label, (value, hint) in figures(architecture, ledger).items():
            st.metric(label, value, width=170, help=hint)
    if architecture.differences:
        lines = "\n".join(f"- {difference}" for difference in architecture.differences)
        st.markdown(f"**In torchvision and Keras**\n{lines}")


def figures(architecture: "Architecture", ledger: "Ledger") -> dict[str, tuple[str, str | None]]:
    """Name what the network costs, each with a hint where it needs one."""
    keras = f"Keras counts {architecture.keras_depth}, normalisation and activations included. "
    found: dict[str, tuple[str, str | None]] = {
        "Year": (str(architecture.year), None),
        "Depth": (
            formatting.plural(architecture.depth, "layer"),
            f"{keras if architecture.keras_depth else ''}Layers with weights, on the longest path.",
        ),
        "Parameters": (formatting.exact_count(ledger.parameters), None),
        "Weights": (formatting.size(ledger.parameters * FLOAT32_BYTES), "In float32."),
        "MACs for one image": (formatting.exact_count(ledger.macs), None),
        "Activations in training": (
            formatting.size(ledger.activation_bytes()),
            "What is kept for the backward pass, for one image in float32.",
        ),
    }
    if architecture.keras_depth:
        found["Depth in Keras"] = (str(architecture.keras_depth), keras)
    if ledger.parameters_with_auxiliary != ledger.parameters:
        with_heads = formatting.exact_count(ledger.parameters_with_auxiliary)
        found["With auxiliary heads"] = (
            with_heads,
            "Parameters during training; the heads are removed afterwards.",
        )
    return found


def show_drawing(architecture: "Architecture", stages: "tuple[DrawnStage, ...]") -> None:
    """Draw the network."""
    st.markdown(drawing.draw(architecture.name, stages), unsafe_allow_html=True)
    st.markdown(drawing.legend(stages), unsafe_allow_html=True)


def show_layers(ledger: "Ledger") -> None:
    """Show where parameters, MACs and activations are: bars for each stage, a row for each layer."""
    st.markdown(stage_bars(ledger), unsafe_allow_html=True)
    rows = layer_rows(ledger)
    st.dataframe(
        rows,
        hide_index=True,
        column_config=LAYER_COLUMNS,
        height=520 if len(rows) > LONG_TABLE else "content",
        placeholder=formatting.NOTHING,
        alt="Parameters by layer",
    )


LAYER_COLUMNS = {
    "Layer": st.column_config.TextColumn(pinned=True),
    "Kernel": st.column_config.TextColumn(width=95),
    "Parameters": st.column_config.NumberColumn(format="localized"),
    "MACs": st.column_config.NumberColumn(format="localized"),
    "Share of parameters": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100),
    "Activations, MB": st.column_config.NumberColumn(
        format="%.2f", help="Kept for the backward pass of one image in float32"
    ),
    "Receptive field, px": st.column_config.NumberColumn(
        help="Pixels of the image, along one side, that one value of the output can depend on"
    ),
    "Stride, px": st.column_config.NumberColumn(help="Pixels of the image between neighbours of the output"),
    "Units": st.column_config.NumberColumn(
        format="localized", help="Outputs of convolutions and linear layers"
    ),
}


def show_published(architecture: "Architecture") -> None:
    """List the errors published for the network, each with protocol and source."""
    if not architecture.published:
        st.caption("No error of this network has been published.")
        return
    rows = [
        f"| {_unbroken(one.top1)} | {_unbroken(one.top5)} | {one.split} | {one.protocol} "
        f"| {one.models} | {one.origin} |"
        for one in architecture.published
    ]
    head = "| Top-1 | Top-5 | Images | Protocol | Networks | Source |\n|--:|--:|:--|:--|--:|:--|"
    st.markdown("\n".join([head, *rows]))


def _unbroken(error: float | None) -> str:
    return formatting.percent(error).replace(" ", "\u00a0")
