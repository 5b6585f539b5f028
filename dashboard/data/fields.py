"""The Data page's fields: which data set is open, and what of it is shown."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.data.data_sets import SPLITS, VAL, DataSet, known_sets
from dashboard.networks import catalogue
from dashboard.widgets.address import Field, between, keep, one_of, restore, visit
from dashboard.workplace import open_store

if TYPE_CHECKING:
    from datamodules.sources import Source

NEXT = "next_set"
CLASSES, IMAGES, SIGHT = "Classes", "Images", "What the network sees"
CHECK, PACK, HIERARCHY = "Check", "Pack", "Hierarchy"
SECTIONS = (CLASSES, IMAGES, SIGHT, CHECK, PACK, HIERARCHY)
# The source for whatever lies in ImageNet's layout.
ANY_FOLDER = "folder"
READY, ARCHIVES = "folder", "archives"
WAYS: Mapping[str, str] = {READY: "A folder of images", ARCHIVES: "Archives, or nothing yet"}
# Stands for one image of each class where a label is asked for.
ALL = -1
MAX_IMAGES = 10**9
SIZES = (8, 1024)
ROLLS = (0, 2**31 - 1)


def data_fields(sets: Mapping[str, DataSet]) -> dict[str, Field]:
    """Name the fields of the page with their defaults."""
    kinds = sources_of_folders()
    return {
        "set": Field(None, one_of(sets)),
        "kind": Field(ANY_FOLDER, one_of(kinds)),
        "way": Field(READY, one_of(WAYS)),
        "folder": Field(""),
        "archives": Field(""),
        "section": Field(CLASSES, one_of(SECTIONS)),
        "find": Field(""),
        "split": Field(VAL, one_of(SPLITS)),
        "label": Field(ALL, between(ALL, MAX_IMAGES)),
        "sheet": Field(1, between(1, MAX_IMAGES)),
        "image": Field(0, between(0, MAX_IMAGES)),
        "size": Field(224, between(*SIZES)),
        "roll": Field(0, between(*ROLLS)),
        "term": Field(None),
        "form": Field("jpeg"),
        "target": Field(""),
    }


def restore_fields() -> DataSet | None:
    """Return the page's fields their values; return the data set that is open, if one is.

    Raises:
        ValueError: the list of folders cannot be read.
        StoreUnavailable: the store cannot be read.
    """
    sets = known_sets(open_store())
    if NEXT in visit():
        open_set(visit().pop(NEXT))
    fields = data_fields(sets)
    restore(fields)
    if st.session_state["set"] is None:
        keep(fields)
    return sets.get(st.session_state["set"])


def sources_of_folders() -> "dict[str, Source]":
    """Find the sources that open a folder, by key."""
    return {key: source for key, source in catalogue.sources().items() if source.needs_root}


def choose_kind(key: str) -> None:
    """Fill in what is to be added."""
    ready = catalogue.sources()[key].prepare is None
    st.session_state.update(kind=key, way=READY if ready else ARCHIVES)


def open_next(key: str) -> None:
    """Open a data set from within the page: the widgets of this run have been made already."""
    visit()[NEXT] = key
    st.rerun()


def open_set(key: str | None) -> None:
    """Open a data set from its beginning, or go back to all of them."""
    for name, field in data_fields({}).items():
        st.session_state[name] = field.default
    st.session_state["set"] = key


def see_class(label: int) -> None:
    """Go to the images of a class."""
    st.session_state.update(section=IMAGES, label=label, sheet=1)


def see_image(index: int) -> None:
    """Go to what the network sees of an image of the split that is shown."""
    st.session_state.update(section=SIGHT, image=index)


def choose_split(on_change: Callable[[], None] | None = None) -> str:
    """Ask for training or validation."""
    split = st.segmented_control(
        "Split",
        list(SPLITS),
        required=True,
        format_func=lambda key: f"For {SPLITS[key]}",
        key="split",
        on_change=on_change,
    )
    return split or VAL
