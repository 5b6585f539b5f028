"""The launch form. What is typed lives in the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.launch.cluster import count_processes, show_place
from dashboard.launch.fields import (
    AUTO,
    EARLIER,
    NUMBER_WIDTH,
    PRECISIONS,
    PUBLISHED,
    SCRATCH,
    TEXT_WIDTH,
    WEIGHTS,
    Filled,
    launch_fields,
    limits,
    option_key,
    weights_of,
)
from dashboard.launch.images import show_image_size, show_panel, show_source
from dashboard.launch.problems import (
    batch_problem,
    devices_problem,
    networks_problem,
    precision_note,
    weights_problem,
)
from dashboard.launch.submission import Found
from dashboard.launch.wording import (
    RECIPES,
    change_choice,
    join,
    network_label,
    other_networks,
    recipe_hint,
    scaling_note,
)
from dashboard.networks import catalogue
from dashboard.widgets import formatting, palette
from dashboard.widgets.address import Field, keep, restore
from jobs.host.machine import describe_machine
from jobs.submission.spec import JobSpec

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.recipes import Recipe

Chosen = Mapping[str, "Architecture"]

# The widgets that together hold the field `networks`.
KNOWN, OTHERS = "networks.known", "networks.others"


@dataclass(frozen=True)
class Form:
    """What the form asks for, and whether a field says that it cannot work."""

    spec: JobSpec
    is_complete: bool
    num_classes: int | None = None
    images: str = ""


def form_fields() -> dict[str, Field]:
    """Name every field of the form."""
    return launch_fields(catalogue.architectures(), catalogue.sources(), catalogue.augmentations())


def show_fields() -> Form:
    """Show the form and read it."""
    fields, filled = form_fields(), Filled()
    restore(fields)
    # Before the fields too: to look through a folder takes time, and a reload meanwhile must find it typed.
    keep(fields)
    st.subheader("Networks", anchor=False)
    chosen = _show_networks(filled, catalogue.architectures())
    st.subheader("Images", anchor=False)
    found = show_source(filled)
    show_image_size(filled, chosen.values())
    show_panel(filled)
    st.subheader("Training", anchor=False)
    recipes = _show_recipes(filled, chosen)
    _show_amounts(filled, recipes, found)
    _show_augmentation(filled, recipes, catalogue.augmentations())
    options = _show_options(chosen)
    _show_weights(filled, chosen, options)
    filled.show_panel("training", "Weight averaging, learning-rate scaling, compilation")
    st.subheader("Hardware", anchor=False)
    show_place(filled)
    _show_hardware(filled)
    spec = JobSpec(tuple(chosen), options, filled.values)
    if filled.values["scale_learning_rate"]:
        st.caption(scaling_note(recipes, spec, count_processes(spec)))
    st.subheader("Seeds", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        filled.show("seed")
        filled.show("num_seeds")
    keep(fields)
    spec = JobSpec(tuple(chosen), options, filled.values)
    return Form(spec, not filled.problems, found.classes or None, found.text)


def _show_networks(filled: Filled, architectures: Chosen) -> Chosen:
    """Ask for networks: the well known are a click each, the others are searched for."""
    known = [key for key in palette.FIRST_PICK if key in architectures]
    others = other_networks(architectures, known)
    parameters = catalogue.costs("parameters")
    with st.spinner("Counting the networks (once after a start) …"):
        labels = {key: network_label(architectures[key], parameters[key]) for key in known}
    networks = st.session_state["networks"]
    _show_only(KNOWN, [key for key in networks if key in known])
    _show_only(OTHERS, [key for key in networks if key not in known])
    st.pills(
        "Networks to train, one job each",
        known,
        selection_mode="multi",
        format_func=lambda key: labels[key],
        key=KNOWN,
        on_change=_take_networks,
        label_visibility="collapsed",
        wrap=True,
    )
    st.multiselect(
        "More networks to train",
        others,
        format_func=lambda key: f"{architectures[key].name}, {architectures[key].year}",
        key=OTHERS,
        on_change=_take_networks,
        placeholder=f"{len(others)} more: open the list, or enter a name or a year",
        label_visibility="collapsed",
    )
    filled.complain(networks_problem(networks))
    return {key: architectures[key] for key in networks}


def _show_only(widget: str, networks: list[str]) -> None:
    if st.session_state.get(widget) != networks:
        st.session_state[widget] = networks


def _take_networks() -> None:
    """Make one choice of both widgets: the field of the address."""
    chosen = [*st.session_state[KNOWN], *st.session_state[OTHERS]]
    st.session_state["networks"] = change_choice(st.session_state["networks"], chosen)


def _show_recipes(filled: Filled, chosen: Chosen) -> "list[Recipe]":
    """Ask for recipes, one job each, and say what those are that were chosen."""
    st.segmented_control(
        "Recipe",
        list(RECIPES),
        selection_mode="multi",
        format_func=str.capitalize,
        key="recipe",
        help="With several recipes, each network is trained with each",
    )
    keys = tuple(key for key in RECIPES if key in st.session_state["recipe"])
    for key in keys:
        st.caption(f"**{key.capitalize()}** · {RECIPES[key]}")
    filled.complain("" if keys else "Choose at least one recipe.")
    filled.values["recipe"] = keys
    recipes = [one.get_recipe(key) for one in chosen.values() for key in keys]
    filled.show(
        "learning_rate",
        label="Learning rate",
        placeholder=recipe_hint(one.learning_rate for one in recipes),
    )
    return recipes


def _show_amounts(filled: Filled, recipes: "list[Recipe]", found: Found) -> None:
    filled.show("epochs", placeholder=recipe_hint(one.epochs for one in recipes))
    with st.container(horizontal=True, gap="medium"):
        batch_size = filled.show("batch_size", placeholder=recipe_hint(one.batch_size for one in recipes))
        filled.show("accumulate")
    filled.complain(batch_problem(batch_size, recipes, found.train_images))


def _show_augmentation(filled: Filled, recipes: "list[Recipe]", augmentations: Mapping[str, str]) -> None:
    taken = sorted({recipe.augmentation for recipe in recipes})
    augmentation = st.selectbox(
        "Augmentation",
        augmentations,
        index=None,
        placeholder=f"{join(taken)}, the recipe's" if taken else "the recipe's",
        width=TEXT_WIDTH,
        key="augmentation",
        help="How training images are transformed: crops and colour in the manner of a paper",
    )
    for key in [augmentation] if augmentation else taken:
        st.caption(f"**{key}** · {augmentations[key]}")
    filled.values["augmentation"] = augmentation


def _show_options(chosen: Chosen) -> dict[str, dict[str, str]]:
    """Ask for what the papers leave open; what stays at its default is not part of the order."""
    picked: dict[str, dict[str, str]] = {}
    for key, architecture in chosen.items():
        for option, allowed in architecture.options.items():
            value = st.segmented_control(
                f"{architecture.name}: {formatting.metric_name(option)}",
                list(allowed),
                required=True,
                key=option_key(key, option),
            )
            if value not in (None, allowed[0]):
                picked.setdefault(key, {})[option] = str(value)
    return picked


def _show_weights(filled: Filled, chosen: Chosen, options: Mapping[str, Mapping[str, str]]) -> None:
    kind = st.segmented_control(
        "Starting weights",
        list(WEIGHTS),
        required=True,
        format_func=lambda key: WEIGHTS[key],
        wrap=True,
        key="weights",
    )
    checkpoint = ""
    if kind == PUBLISHED:
        st.caption("Trained on ImageNet; the job downloads them unless they are already on this machine.")
    if kind == EARLIER:
        checkpoint = st.text_input(
            "Run or checkpoint",
            placeholder="resnet18-digits-1a2b or /path/to/best.ckpt",
            key="checkpoint",
            help="A run's name or the beginning of its id, or a checkpoint file, of the same network.",
        )
    filled.values["weights"] = weights_of(kind or SCRATCH, checkpoint)
    filled.complain(weights_problem(filled.values["weights"], chosen, options))


def _show_hardware(filled: Filled) -> None:
    machine, is_here = describe_machine(), not filled.values["slurm"]
    precision = st.selectbox(
        "Precision",
        list(PRECISIONS),
        format_func=lambda key: PRECISIONS[key],
        width=TEXT_WIDTH,
        key="precision",
    )
    filled.values["precision"] = None if precision == AUTO else precision
    if note := precision_note(precision, machine):
        st.caption(note)
    with st.container(horizontal=True, gap="medium"):
        devices: int | str = 1
        if is_here or not filled.values["gpus_per_node"]:
            lowest, highest = limits("devices")
            devices = st.selectbox(
                "Devices per job" if is_here else "Devices per node",
                [AUTO, *range(lowest, highest + 1)],
                format_func=lambda number: "all" if number == AUTO else str(number),
                width=NUMBER_WIDTH,
                key="devices",
            )
        filled.values["devices"] = devices
        filled.show("num_workers")
    problem = devices_problem(devices, machine) if is_here else ""
    if not is_here and devices == AUTO:
        problem = (
            "Enter how many devices each node has, or how many GPUs; 'all' is not possible on a cluster."
        )
    filled.complain(problem)
