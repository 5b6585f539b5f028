"""The fields of the launch form. What is typed lives in the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.launch import fields as forms
from dashboard.launch.advanced import extra_fields, scaling_note, show_extras
from dashboard.launch.cluster import cluster_fields, count_processes, show_place
from dashboard.launch.images import show_finer, show_image_size, show_source
from dashboard.launch.submission import Found
from dashboard.networks import catalogue
from dashboard.widgets import formatting, palette, widths
from dashboard.widgets.address import Field, keep, restore
from dashboard.widgets.problems import show_problem
from datamodules.subset import parse_classes
from jobs.engines.slurm_options import SlurmOptions
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
    known = forms.launch_fields(catalogue.architectures(), catalogue.sources(), catalogue.augmentations())
    return known | extra_fields() | cluster_fields()


def show_fields() -> Form:
    """Show the form and read it."""
    architectures = catalogue.architectures()
    augmentations = catalogue.augmentations()
    fields = form_fields()
    restore(fields)
    # Before the fields too: to look through a folder takes time, and a reload meanwhile must find it typed.
    keep(fields)
    st.subheader("Networks", anchor=False)
    chosen, networks_problem = _show_networks(architectures)
    st.subheader("Images", anchor=False)
    source, root, classes, found = show_source()
    image_size, size_problem = show_image_size(chosen.values())
    finer = show_finer(image_size)
    st.subheader("Training", anchor=False)
    keys, recipes, recipes_problem = _show_recipes(chosen)
    rates, rates_problem = _show_rates(recipes)
    epochs, batch_size, accumulate, batch_problem = _show_amounts(recipes, found)
    augmentation = _show_augmentation(recipes, augmentations)
    options = _show_options(chosen)
    weights, weights_problem = _show_weights(chosen, options)
    extras, extras_problem = show_extras()
    st.subheader("Hardware", anchor=False)
    slurm = show_place()
    precision, devices, num_workers, hardware_problem = _show_hardware(slurm)
    if extras.scale_learning_rate:
        processes = count_processes(slurm, devices) if isinstance(slurm, SlurmOptions) else devices
        st.caption(scaling_note(recipes, rates, batch_size, accumulate, processes))
    st.subheader("Seeds", anchor=False)
    seed, num_seeds = _show_seeds()
    keep(fields)
    spec = JobSpec(
        architectures=tuple(chosen),
        source=source,
        root=root,
        recipes=keys,
        learning_rates=rates,
        epochs=epochs,
        image_size=image_size,
        batch_size=batch_size,
        accumulate=accumulate,
        classes=parse_classes(classes),
        augmentation=augmentation,
        precision=precision,
        devices=devices,
        seed=seed,
        num_seeds=num_seeds,
        num_workers=num_workers,
        mean_image=finer.mean_image,
        val_resize=finer.val_resize,
        max_unreadable=finer.max_unreadable,
        options=options,
        weights=weights,
        extras=extras,
        slurm=None if isinstance(slurm, str) else slurm,
    )
    problems = (
        networks_problem,
        found.problem,
        found.classes_problem,
        size_problem,
        recipes_problem,
        rates_problem,
        finer.problem,
        batch_problem,
        weights_problem,
        extras_problem,
        hardware_problem,
        isinstance(slurm, str),
    )
    return Form(spec, not any(problems), found.classes or None, found.text)


def _show_networks(architectures: Chosen) -> "tuple[Chosen, str]":
    """Ask for networks: the well known are a click each, the others are searched for."""
    known = [key for key in palette.FIRST_PICK if key in architectures]
    others = forms.other_networks(architectures, known)
    parameters = catalogue.costs("parameters")
    with st.spinner("Counting the networks (once after a start) …"):
        labels = {key: forms.network_label(architectures[key], parameters[key]) for key in known}
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


def _show_recipes(chosen: Chosen) -> "tuple[tuple[str, ...], list[Recipe], str]":
    """Ask for recipes, one job each, and say what those are that were chosen."""
    st.segmented_control(
        "Recipe",
        list(forms.RECIPES),
        selection_mode="multi",
        format_func=str.capitalize,
        key="recipe",
        help="Of several, each network is trained with each",
    )
    keys = tuple(key for key in forms.RECIPES if key in st.session_state["recipe"])
    for key in keys:
        st.caption(f"**{key.capitalize()}** · {forms.RECIPES[key]}")
    problem = "" if keys else "Choose at least one recipe."
    show_problem(problem)
    return keys, [one.get_recipe(key) for one in chosen.values() for key in keys], problem


def _show_rates(recipes: "list[Recipe]") -> tuple[tuple[float, ...], str]:
    text = st.text_input(
        "Learning rate",
        placeholder=forms.recipe_hint(one.learning_rate for one in recipes),
        width=widths.WORDS,
        key="learning_rate",
        help="The highest, before the schedule. Of several, separated by commas, each is a job of its own.",
    )
    try:
        return forms.parse_rates(text), ""
    except ValueError as problem:
        show_problem(str(problem))
        return (), str(problem)


def _show_amounts(recipes: "list[Recipe]", found: Found) -> tuple[int | None, int | None, int, str]:
    epochs = st.number_input(
        "Epochs",
        *forms.LIMITS["epochs"],
        None,
        placeholder=forms.recipe_hint(one.epochs for one in recipes),
        width=widths.NUMBER,
        key="epochs",
    )
    with st.container(horizontal=True, gap="medium"):
        batch_size = st.number_input(
            "Batch size",
            *forms.LIMITS["batch_size"],
            None,
            placeholder=forms.recipe_hint(one.batch_size for one in recipes),
            width=widths.NUMBER,
            key="batch_size",
            help="Images at once on each device",
        )
        accumulate = st.number_input(
            "Batches a step",
            *forms.LIMITS["accumulate"],
            width=widths.NUMBER,
            key="accumulate",
            help="Gradients of so many batches are added up before each step: as if the batch were larger, "
            "in the memory of one",
        )
    problem = forms.batch_problem(batch_size, recipes, found.train_images)
    show_problem(problem)
    return epochs, batch_size, int(accumulate), problem


def _show_augmentation(recipes: "list[Recipe]", augmentations: Mapping[str, str]) -> str | None:
    taken = sorted({recipe.augmentation for recipe in recipes})
    augmentation = st.selectbox(
        "Augmentation",
        augmentations,
        index=None,
        placeholder=f"{forms.join(taken)}, the recipe's" if taken else "the recipe's",
        width=widths.WORDS,
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
        wrap=True,
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


def _show_hardware(slurm: SlurmOptions | str | None) -> tuple[str | None, int | str, int | None, str]:
    machine = describe_machine()
    precision = st.selectbox(
        "Precision",
        list(forms.PRECISIONS),
        format_func=lambda key: forms.PRECISIONS[key],
        width=widths.WORDS,
        key="precision",
    )
    if note := forms.precision_note(precision, machine):
        st.caption(note)
    with st.container(horizontal=True, gap="medium"):
        devices: int | str = 1
        if not (isinstance(slurm, SlurmOptions) and slurm.gpus_per_node):
            lowest, highest = forms.LIMITS["devices"]
            devices = st.selectbox(
                "Devices a job" if slurm is None else "Devices a node",
                [forms.AUTO, *range(lowest, highest + 1)],
                format_func=lambda number: "all" if number == forms.AUTO else str(number),
                width=widths.NUMBER,
                key="devices",
            )
        num_workers = st.number_input(
            "Workers",
            *forms.LIMITS["num_workers"],
            None,
            placeholder="automatic",
            width=widths.NUMBER,
            key="num_workers",
            help="Processes that read images for each device",
        )
    problem = forms.devices_problem(devices, machine) if slurm is None else ""
    if isinstance(slurm, SlurmOptions) and devices == forms.AUTO:
        problem = "Say how many devices each node has, or how many GPUs: a cluster has no 'all'."
    show_problem(problem)
    return None if precision == forms.AUTO else precision, devices, num_workers, problem


def _show_seeds() -> tuple[int, int]:
    with st.container(horizontal=True, gap="medium"):
        seed = st.number_input("First seed", *forms.LIMITS["seed"], width=widths.NUMBER, key="seed")
        num_seeds = st.number_input(
            "How many seeds",
            *forms.LIMITS["num_seeds"],
            width=widths.NUMBER,
            key="num_seeds",
            help="Runs of each network, each with the next seed; the Runs page shows their mean and spread",
        )
    return int(seed), int(num_seeds)
