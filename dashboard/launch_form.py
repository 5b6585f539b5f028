"""The fields of the launch form. What is typed lives in the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import catalogue, formatting, forms, palette
from dashboard.address import keep, restore
from dashboard.errors import show_problem
from dashboard.launch_images import show_image_size, show_source
from dashboard.launching import Found
from datamodules.subset import parse_classes
from jobs.machine import describe_machine
from jobs.spec import JobSpec

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

Chosen = Mapping[str, "Architecture"]

# The widgets that together hold the field `networks`.
KNOWN, OTHERS = "networks.known", "networks.others"


@dataclass(frozen=True)
class Form:
    """What the form asks for, and whether a field says that it cannot work."""

    spec: JobSpec
    is_complete: bool
    num_classes: int | None = None


def show_fields() -> Form:
    """Show the form and read it."""
    architectures = catalogue.architectures()
    augmentations = catalogue.augmentations()
    fields = forms.launch_fields(architectures, catalogue.sources(), augmentations)
    restore(fields)
    st.subheader("Networks", anchor=False)
    chosen, networks_problem = _show_networks(architectures)
    st.subheader("Images", anchor=False)
    source, root, classes, found = show_source()
    image_size, size_problem = show_image_size(chosen.values())
    st.subheader("Training", anchor=False)
    recipe = _show_recipe()
    epochs, batch_size, batch_problem = _show_amounts(chosen, recipe, found)
    augmentation = _show_augmentation(chosen, recipe, augmentations)
    options = _show_options(chosen)
    weights, weights_problem = _show_weights(chosen, options)
    st.subheader("Hardware", anchor=False)
    precision, devices, num_workers, hardware_problem = _show_hardware()
    st.subheader("Chance", anchor=False)
    seed, num_seeds = _show_seeds()
    keep(fields)
    spec = JobSpec(
        architectures=tuple(chosen),
        source=source,
        root=root,
        recipe=recipe,
        epochs=epochs,
        image_size=image_size,
        batch_size=batch_size,
        classes=parse_classes(classes),
        augmentation=augmentation,
        precision=precision,
        devices=devices,
        seed=seed,
        num_seeds=num_seeds,
        num_workers=num_workers,
        options=options,
        weights=weights,
    )
    problems = (
        networks_problem,
        found.problem,
        found.classes_problem,
        size_problem,
        batch_problem,
        weights_problem,
        hardware_problem,
    )
    return Form(spec, not any(problems), found.classes or None)


def _show_networks(architectures: Chosen) -> "tuple[Chosen, str]":
    """Ask for networks: the well known are a click each, the others are searched for."""
    known = [key for key in palette.FIRST_PICK if key in architectures]
    others = forms.other_networks(architectures, known)
    parameters = catalogue.costs("parameters")
    networks = st.session_state["networks"]
    _show_only(KNOWN, [key for key in networks if key in known])
    _show_only(OTHERS, [key for key in networks if key not in known])
    st.pills(
        "Networks to train, one job each",
        known,
        selection_mode="multi",
        format_func=lambda key: forms.network_label(architectures[key], parameters[key]),
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
        placeholder=f"{len(others)} more: open the list, or type a name or a year",
        label_visibility="collapsed",
    )
    problem = forms.networks_problem(networks)
    show_problem(problem)
    return {key: architectures[key] for key in networks}, problem


def _show_only(widget: str, networks: list[str]) -> None:
    if st.session_state.get(widget) != networks:
        st.session_state[widget] = networks


def _take_networks() -> None:
    """Make one choice of both widgets: the field of the address."""
    chosen = [*st.session_state[KNOWN], *st.session_state[OTHERS]]
    st.session_state["networks"] = forms.change_choice(st.session_state["networks"], chosen)


def _show_recipe() -> str:
    return st.radio(
        "Recipe",
        list(forms.RECIPES),
        format_func=str.capitalize,
        captions=list(forms.RECIPES.values()),
        horizontal=True,
        key="recipe",
    )


def _show_amounts(chosen: Chosen, recipe: str, found: Found) -> tuple[int | None, int | None, str]:
    recipes = [architecture.get_recipe(recipe) for architecture in chosen.values()]
    with st.container(horizontal=True, gap="medium"):
        epochs = st.number_input(
            "Epochs",
            *forms.LIMITS["epochs"],
            None,
            placeholder=forms.recipe_hint(one.epochs for one in recipes),
            width=200,
            key="epochs",
        )
        batch_size = st.number_input(
            "Batch size",
            *forms.LIMITS["batch_size"],
            None,
            placeholder=forms.recipe_hint(one.batch_size for one in recipes),
            width=200,
            key="batch_size",
            help="Images a step on each device",
        )
    problem = forms.batch_problem(batch_size, recipes, found.train_images)
    show_problem(problem)
    return epochs, batch_size, problem


def _show_augmentation(chosen: Chosen, recipe: str, augmentations: Mapping[str, str]) -> str | None:
    taken = sorted({architecture.get_recipe(recipe).augmentation for architecture in chosen.values()})
    augmentation = st.selectbox(
        "Augmentation",
        augmentations,
        index=None,
        placeholder=f"{forms.join(taken)}, the recipe's" if taken else "the recipe's",
        width=415,
        key="augmentation",
        help="What happens to training images: crops and colour in the manner of a paper",
    )
    for key in [augmentation] if augmentation else taken:
        st.caption(f"**{key}** · {augmentations[key]}")
    return augmentation


def _show_options(chosen: Chosen) -> dict[str, dict[str, str]]:
    """Ask for what the papers leave open; what stays at its default is not part of the order."""
    picked: dict[str, dict[str, str]] = {}
    for key, architecture in chosen.items():
        for option, allowed in architecture.options.items():
            value = st.segmented_control(
                f"{architecture.name}: {formatting.metric_name(option)}",
                list(allowed),
                required=True,
                key=forms.option_key(key, option),
            )
            if value not in (None, allowed[0]):
                picked.setdefault(key, {})[option] = str(value)
    return picked


def _show_weights(chosen: Chosen, options: Mapping[str, Mapping[str, str]]) -> tuple[str | None, str]:
    kind = st.segmented_control(
        "Starting weights",
        list(forms.WEIGHTS),
        required=True,
        format_func=lambda key: forms.WEIGHTS[key],
        key="weights",
    )
    checkpoint = ""
    if kind == forms.PUBLISHED:
        st.caption("Trained on ImageNet; the job downloads them unless they are on this machine already.")
    if kind == forms.EARLIER:
        checkpoint = st.text_input(
            "Run or checkpoint",
            placeholder="resnet18-digits-1a2b or /path/to/best.ckpt",
            key="checkpoint",
            help="A run's name or the beginning of its id, or a checkpoint file; of the same network.",
        )
    weights = forms.weights_of(kind or forms.SCRATCH, checkpoint)
    problem = forms.weights_problem(weights, chosen, options)
    show_problem(problem)
    return weights, problem


def _show_hardware() -> tuple[str | None, int | str, int | None, str]:
    machine = describe_machine()
    precision = st.selectbox(
        "Precision",
        list(forms.PRECISIONS),
        format_func=lambda key: forms.PRECISIONS[key],
        width=415,
        key="precision",
    )
    if note := forms.precision_note(precision, machine):
        st.caption(note)
    with st.container(horizontal=True, gap="medium"):
        lowest, highest = forms.LIMITS["devices"]
        devices = st.selectbox(
            "Devices a job",
            [forms.AUTO, *range(lowest, highest + 1)],
            format_func=lambda number: "all" if number == forms.AUTO else str(number),
            width=150,
            key="devices",
        )
        num_workers = st.number_input(
            "Workers",
            *forms.LIMITS["num_workers"],
            None,
            placeholder="automatic",
            width=150,
            key="num_workers",
            help="Processes that read images for each device",
        )
    problem = forms.devices_problem(devices, machine)
    show_problem(problem)
    return None if precision == forms.AUTO else precision, devices, num_workers, problem


def _show_seeds() -> tuple[int, int]:
    with st.container(horizontal=True, gap="medium"):
        seed = st.number_input("Seed", *forms.LIMITS["seed"], width=200, key="seed")
        num_seeds = st.number_input(
            "Runs of each network",
            *forms.LIMITS["num_seeds"],
            width=200,
            key="num_seeds",
            help="Each with the next seed; the Runs page shows their mean and spread",
        )
    return int(seed), int(num_seeds)
