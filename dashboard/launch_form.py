"""The launch form: its fields, and beside it what will be launched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import catalogue, formatting, forms, launching
from dashboard.run_rows import RUNS_PAGE
from dashboard.workplace import open_store
from jobs.machine import describe_machine
from jobs.spec import JobSpec

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

OF_RECIPE = "as the recipe says"


@dataclass(frozen=True)
class Form:
    """What the form asks for, and whether a field says that it cannot work."""

    spec: JobSpec
    is_complete: bool


def show_fields() -> Form:
    """Show the form and read it. What is typed lives in the address, so it survives a reload."""
    architectures = catalogue.architectures()
    st.subheader("Networks", anchor=False)
    networks = _show_networks(architectures)
    chosen = {key: architectures[key] for key in networks}
    st.subheader("Images", anchor=False)
    source, root, root_problem = _show_source()
    image_size, size_problem = _show_image_size(chosen)
    st.subheader("Training", anchor=False)
    recipe = _show_recipe()
    epochs, batch_size = _show_amounts()
    options = _show_options(chosen)
    with st.expander("Precision, devices and seed", icon=":material/tune:"):
        precision, devices, seed = _show_hardware()
    spec = JobSpec(
        architectures=tuple(networks),
        source=source,
        root=root,
        recipe=recipe,
        epochs=epochs,
        image_size=image_size,
        batch_size=batch_size,
        precision=precision,
        devices=devices,
        seed=seed,
        options=options,
    )
    return Form(spec, bool(networks) and not root_problem and not size_problem)


def show_order(form: Form) -> None:
    """Show what the form comes to, and launch it."""
    configs = form.spec.configs() if form.is_complete else []
    problem = launching.first_problem(configs)
    label = f"Launch {formatting.plural(len(form.spec.architectures), 'job')}"
    possible = form.is_complete and not problem
    if st.button(
        label, type="primary", icon=":material/rocket_launch:", disabled=not possible, width="stretch"
    ):
        st.session_state["launched"] = launching.launch(open_store(), form.spec)
    _show_problem(problem)
    if not form.is_complete:
        st.caption("Put right what is marked in the form first.")
        return
    _show_launched()
    st.markdown("\n".join(f"- {line}" for line in forms.plan(configs)))
    command, yaml = st.tabs(["Command", "YAML"])
    with command:
        st.code(form.spec.command(), language="bash", wrap_lines=True)
    with yaml:
        st.code(launching.to_yaml(configs), language="yaml", height=380)


def _show_networks(architectures: "Mapping[str, Architecture]") -> list[str]:
    parameters = catalogue.costs("parameters")
    networks = st.pills(
        "Networks to train, one job each",
        list(architectures),
        selection_mode="multi",
        default=[key for key in forms.DEFAULT_NETWORKS if key in architectures],
        format_func=lambda key: forms.network_label(architectures[key], parameters[key]),
        key="networks",
        label_visibility="collapsed",
        wrap=True,
    )
    _show_problem(forms.networks_problem(networks))
    return networks


def _show_source() -> tuple[str, str | None, str]:
    sources = catalogue.sources()
    key = st.segmented_control(
        "Source",
        list(sources),
        default="digits",
        required=True,
        format_func=lambda key: sources[key].title,
        key="source",
    )
    source = sources[key or "digits"]
    st.caption(source.description)
    if not source.needs_root:
        return source.key, None, ""
    root = st.text_input(
        "Folder",
        placeholder="/path/to/imagenet",
        key="root",
        help="It holds train/ and val/",
    )
    problem = launching.root_problem(source.key, root or "")
    _show_problem(problem)
    return source.key, root or None, problem


def _show_image_size(chosen: "Mapping[str, Architecture]") -> tuple[int, str]:
    size = st.number_input(
        "Image size, px",
        min_value=16,
        max_value=1024,
        value=forms.DEFAULT_IMAGE_SIZE,
        step=16,
        width=200,
        key="image_size",
    )
    problem = forms.size_problem(int(size), chosen.values())
    _show_problem(problem)
    return int(size), problem


def _show_recipe() -> str:
    return st.radio(
        "Recipe",
        list(forms.RECIPES),
        format_func=str.capitalize,
        captions=list(forms.RECIPES.values()),
        horizontal=True,
        key="recipe",
    )


def _show_amounts() -> tuple[int | None, int | None]:
    with st.container(horizontal=True, gap="medium"):
        epochs = st.number_input("Epochs", 1, 1000, None, placeholder=OF_RECIPE, width=200, key="epochs")
        batch_size = st.number_input(
            "Batch size",
            1,
            8192,
            None,
            placeholder=OF_RECIPE,
            width=200,
            key="batch_size",
        )
    return epochs, batch_size


def _show_options(chosen: "Mapping[str, Architecture]") -> dict[str, dict[str, str]]:
    """Ask for what the papers leave open; what stays at its default is not part of the order."""
    picked: dict[str, dict[str, str]] = {}
    for key, architecture in chosen.items():
        for option, allowed in architecture.options.items():
            value = st.segmented_control(
                f"{architecture.name}: {formatting.metric_name(option)}",
                list(allowed),
                default=allowed[0],
                required=True,
                key=forms.option_key(key, option),
            )
            if value != allowed[0]:
                picked.setdefault(key, {})[option] = str(value)
    return picked


def _show_hardware() -> tuple[str | None, int, int]:
    num_devices = max(1, len(describe_machine().gpus))
    with st.container(horizontal=True, gap="medium"):
        precision = st.selectbox(
            "Precision",
            list(forms.PRECISIONS),
            format_func=lambda key: forms.PRECISIONS[key],
            width=250,
            key="precision",
        )
        devices = st.number_input("Devices a job", 1, max(2, num_devices), 1, width=140, key="devices")
        seed = st.number_input("Seed", 0, 2**31 - 1, 0, width=140, key="seed")
    return None if precision == forms.AUTO else precision, int(devices), int(seed)


def _show_launched() -> None:
    runs = st.session_state.get("launched", [])
    if not runs:
        return
    with st.container(border=True, gap=None, key="launched"):
        st.markdown(f":green[:material/check_circle: **{formatting.plural(len(runs), 'job')} in the queue**]")
        for run in runs:
            st.page_link(
                RUNS_PAGE, label=run.name, icon=":material/monitoring:", query_params={"run": run.run_id}
            )


def _show_problem(problem: str) -> None:
    if problem:
        st.markdown(f":red[:material/error: {problem}]")
