"""The part of the launch form that asks for images."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.known_folders import read_folders
from dashboard.launch import fields
from dashboard.launch.submission import Found, look_at_images
from dashboard.networks import catalogue
from dashboard.widgets import formatting, widths
from dashboard.widgets.problems import show_problem
from dashboard.workplace import open_store

if TYPE_CHECKING:
    from datamodules.sources import Source
    from lightning_modules.architecture import Architecture


@dataclass(frozen=True)
class Finer:
    """What few change of the images; None is the data module's own.

    Attributes:
        problem: With any of them.
    """

    mean_image: str | None
    val_resize: int | None
    max_unreadable: float | None
    problem: str


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


def show_source() -> tuple[str, str | None, str, Found]:
    """Ask where the images come from and for which classes.

    Returns:
        Key of the source, its folder or address, the classes as typed, and what was found there.
    """
    source = choose_source(catalogue.sources(), fields.DEFAULT_SOURCE, "source")
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
        placeholder="all; or how many, such as 10; or their names",
        key="classes",
        help="A number takes the first so many in the order of the labels. Names, such as n01440764, and "
        "labels are separated by commas. The labels of those chosen start from 0.",
    ).strip()
    found = look_at_images(source.key, root, classes)
    with place:
        show_problem(found.problem)
    show_problem(found.classes_problem)
    if (source.needs_root or classes) and found.classes:
        st.caption(found.text)
    return source.key, root or None, classes, found


def _show_added(source: str) -> None:
    """Offer the folders that somebody has added on the Data page."""
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


def show_image_size(chosen: "Iterable[Architecture]") -> tuple[int, str]:
    """Ask for the size. Returns it with what is wrong with it."""
    lowest, highest = fields.LIMITS["image_size"]
    size = st.number_input("Image size, px", lowest, highest, step=8, width=widths.NUMBER, key="image_size")
    problem = fields.size_problem(size, chosen)
    show_problem(problem)
    return int(size), problem


def show_finer(image_size: int) -> Finer:
    """Ask for what few change."""
    is_used = any(st.session_state[key] for key in ("mean_image", "val_resize", "max_unreadable"))
    with st.expander("Mean image, validation, damaged files", expanded=is_used):
        mean_image = st.text_input(
            "Mean image",
            placeholder="none: the mean colour is subtracted",
            key="mean_image",
            help="A file that `python -m datamodules mean` has written for this size; AlexNet's and ResNet's "
            "papers subtract it from every image.",
        ).strip()
        mean_problem = fields.mean_image_problem(mean_image, image_size)
        show_problem(mean_problem)
        val_resize = st.number_input(
            "Short side in validation, px",
            *fields.LIMITS["val_resize"],
            None,
            placeholder="256",
            width=300,
            key="val_resize",
            help="The center of 224 px is cut out of that, in proportion at other sizes. torchvision's "
            "second weights want 232.",
        )
        text = st.text_input(
            "Unreadable images at most",
            placeholder="0.01: one in a hundred",
            width=300,
            key="max_unreadable",
            help="They are left out, counted and named; more of them stop the run. A share below 1, or a "
            "number of images.",
        ).strip()
        max_unreadable, share_problem = fields.parse_share(text)
        show_problem(share_problem)
    return Finer(mean_image or None, val_resize, max_unreadable, mean_problem or share_problem)
