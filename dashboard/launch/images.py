"""The part of the launch form that asks for images."""

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.known_folders import read_folders
from dashboard.launch.fields import Filled
from dashboard.launch.problems import mean_image_problem, size_problem
from dashboard.launch.submission import Found, look_at_images
from dashboard.networks import catalogue
from dashboard.widgets import formatting
from dashboard.workplace import open_store
from datamodules.subset import parse_classes
from jobs.submission.settings import setting

if TYPE_CHECKING:
    from datamodules.sources import Source
    from lightning_modules.architecture import Architecture


def choose_source(sources: "Mapping[str, Source]", default: str, field: str) -> "Source":
    """Ask for a source and say what it holds.

    Args:
        sources: to choose from, by key.
        default: key of the one that is taken where none is chosen.
        field: of the page's address.
    """
    key = st.segmented_control(
        "Source",
        list(sources),
        required=True,
        format_func=lambda key: sources[key].title,
        wrap=True,
        key=field,
    )
    source = sources[key or default]
    st.caption(formatting.plain(source.description))
    return source


def show_source(filled: Filled) -> Found:
    """Ask where the images come from and for which classes, and give what was found there."""
    source = choose_source(catalogue.sources(), setting("source").default, "source")
    root = ""
    if source.needs_root:
        root = st.text_input(
            "Folder or address" if source.open_address else "Folder",
            placeholder="s3://bucket/imagenet" if source.open_address else "/path/to/imagenet",
            key="root",
        ).strip()
        _show_added(source.key)
    place = st.container()
    classes = st.text_input(
        "Classes",
        placeholder="all, or a number such as 10, or names",
        key="classes",
        help="A number takes that many classes from the first label on. Names, such as n01440764, and "
        "labels are separated by commas. The labels of the chosen classes start from 0.",
    ).strip()
    found = look_at_images(source.key, root, classes)
    with place:
        filled.complain(found.problem)
    filled.complain(found.classes_problem)
    if (source.needs_root or classes) and found.classes:
        st.caption(found.text)
    filled.values |= {"source": source.key, "root": root or None, "classes": parse_classes(classes)}
    return found


def _show_added(source: str) -> None:
    """Offer the folders that were added on the Data page."""
    roots = [folder.root for folder in read_folders(open_store()) if folder.source == source]
    if roots:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.caption("Added on the Data page:", width="content")
            for root in roots:
                st.button(
                    formatting.plain(PurePath(root).name),
                    key=f"root-{root}",
                    type="tertiary",
                    icon=":material/folder:",
                    help=formatting.plain(root),
                    on_click=_take_root,
                    args=(root,),
                )


def _take_root(root: str) -> None:
    st.session_state["root"] = root


def show_image_size(filled: Filled, chosen: "Iterable[Architecture]") -> None:
    """Ask for the size, which every chosen network has to take."""
    filled.show("image_size", step=8)
    filled.complain(size_problem(filled.values["image_size"], chosen))


def show_panel(filled: Filled) -> None:
    """Ask for what few change."""
    filled.show_panel("images", "Mean image, validation, damaged files")
    filled.complain(mean_image_problem(filled.values.get("mean_image") or "", filled.values["image_size"]))
