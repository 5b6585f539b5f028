"""The figure of the field: published error against multiply-accumulates, one protocol at a time."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.architectures import published
from dashboard.architectures.bubble_chart import Bubble, bubble_chart
from dashboard.architectures.families import network_colours
from dashboard.architectures.published import METRICS, Conditions, Standing
from dashboard.networks import catalogue
from dashboard.runs import curves
from dashboard.runs.board import read_runs
from dashboard.widgets import charts, formatting
from dashboard.widgets.address import Field, keep, one_of, restore
from dashboard.workplace import open_store
from tracking.comparison import Summary, best_and_last

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

Fields = Mapping[str, Field]
Networks = Mapping[str, "Architecture"]


def show_error_figure(page: Fields | None = None) -> None:
    """Set the networks' published errors against their costs, and results of ours measured alike.

    Args:
        page: further fields that the address keeps.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    networks = catalogue.architectures()
    fields = figure_fields(networks)
    restore(fields)
    metric, conditions = _choose(networks)
    keep({**(page or {}), **fields})
    found = published.standings(networks, metric, conditions)
    alike = published.measured_alike(read_runs(open_store()), networks, conditions)
    results = published.best_of_each(best_and_last(open_store(), alike, [f"val/{metric}"]))
    with st.spinner("Counting the networks …"):
        bubbles = [*published_bubbles(networks, found, metric), *own_bubbles(networks, results, metric)]
    figure = bubble_chart(bubbles, curves.y_title(metric).removesuffix(", %"))
    name = formatting.metric_name(metric)
    alt = f"{name} of {len(found)} networks against MACs: {conditions}"
    st.plotly_chart(figure, key="error-figure", config=dict(charts.CONFIG), alt=alt)
    _show_notes(networks, found, results, conditions, name)


def figure_fields(networks: Networks) -> dict[str, Field]:
    """Name the fields above the figure; what can be chosen is what either error was published by."""
    names = {name: None for metric in METRICS for name in published.protocols(networks, metric)}
    first = next(iter(published.protocols(networks, "error_top1")), None)
    return {"published": Field("error_top1", one_of(METRICS)), "protocol": Field(first, one_of(names))}


def _choose(networks: Networks) -> tuple[str, Conditions]:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        metric = (
            st.segmented_control(
                "Error",
                list(METRICS),
                format_func=lambda key: formatting.metric_name(key).capitalize(),
                required=True,
                key="published",
            )
            or "error_top1"
        )
        offered = published.protocols(networks, metric)
        if st.session_state["protocol"] not in offered:
            st.session_state["protocol"] = next(iter(offered))
        name = st.selectbox(
            "Images and protocol",
            list(offered),
            format_func=lambda name: f"{name} ({len(published.standings(networks, metric, offered[name]))})",
            key="protocol",
            width=420,
            help="How an image became a prediction. Errors by different protocols are never drawn together.",
        )
    return metric, offered[name]


def published_bubbles(networks: Networks, found: Mapping[str, Standing], metric: str) -> list[Bubble]:
    """Place each published error; costs are those of the network that was tested."""
    colours = network_colours(networks)
    bubbles = []
    for key, one in found.items():
        ledger = catalogue.ledger(key, None, None, one.options)
        by = "trained by others" if one.is_retraining else "published"
        detail = (
            f"<b>{escape(networks[key].name)}</b>: {one.error:g} % {formatting.metric_name(metric)}, {by}<br>"
            f"{formatting.exact_count(ledger.parameters)} parameters<br>"
            f"{formatting.exact_count(ledger.macs)} MACs<br>"
            f"{escape(str(published.conditions_of(one.published)))}<br>{escape(one.published.origin)}"
        )
        family = networks[key].family
        bubbles.append(
            Bubble(
                networks[key].name,
                family,
                colours[key],
                ledger.macs,
                one.error,
                ledger.parameters,
                detail,
                one.is_retraining,
            )
        )
    return bubbles


def own_bubbles(networks: Networks, results: Sequence[Summary], metric: str) -> list[Bubble]:
    """Place the best run of each network, at the costs that the run itself recorded."""
    colours = network_colours(networks)
    bubbles = []
    for one in results:
        network, run = networks[one.run.architecture], one.run
        if not run.macs or not run.parameters:
            continue
        detail = (
            f"<b>{escape(network.name)}</b>: {one.best:.2f} % {formatting.metric_name(metric)}, measured here"
            f"<br>{formatting.exact_count(run.parameters)} parameters"
            f"<br>{formatting.exact_count(run.macs)} MACs"
            f"<br>run {escape(run.name)}, {run.recipe}, best epoch, {run.image_size} px"
        )
        if start := run.params.get("model.weights"):
            detail += f"<br>not from scratch: started from {escape(start)}"
        bubbles.append(
            Bubble(
                f"{network.name}, here",
                network.family,
                colours[run.architecture],
                run.macs,
                one.best,
                run.parameters,
                detail,
                is_ours=True,
            )
        )
    return bubbles


def _show_notes(
    networks: Networks,
    found: Mapping[str, Standing],
    results: Sequence[Summary],
    conditions: Conditions,
    metric_name: str,
) -> None:
    st.caption(
        "The area of a bubble stands for parameters. Filled: the authors' own weights, ported or not; "
        "hollow: retrained by others; star: a run of this store. Averages of several networks are left "
        "out. Point at a bubble for its figures and source."
    )
    if not results:
        st.caption(own_runs_text(conditions))
    for text in missing_texts(networks, found, conditions, metric_name):
        st.caption(text)


def missing_texts(
    networks: Networks, found: Mapping[str, Standing], conditions: Conditions, metric_name: str
) -> list[str]:
    """Name the networks that are not in the figure: those made for as many classes apart from the others."""
    classes = {networks[key].num_classes for key in found}
    missing = [one for key, one in networks.items() if key not in found]
    alike = [one.name for one in missing if one.num_classes in classes]
    others = [one.name for one in missing if one.num_classes not in classes]
    texts = []
    if alike:
        texts.append(f"No {metric_name} by this protocol ({conditions}) is known of: {', '.join(alike)}.")
    if others:
        texts.append(f"Designed for other images: {', '.join(others)}.")
    return texts


def own_runs_text(conditions: Conditions) -> str:
    """Describe why no run of ours stands in the figure, and what would bring one there."""
    if conditions != published.OURS:
        return (
            f"Runs here are measured on center crops, so none can be compared with these; choose "
            f"*{published.OURS}* for that."
        )
    return (
        "No run here was measured like this. One appears here once it has been trained from an ImageNet "
        f"folder with {published.IMAGENET_CLASSES:,} classes and {published.IMAGENET_VAL_IMAGES:,} val "
        "images, at its paper's image size. Runs on digits or other images are never drawn here."
    )
