"""The Data page's frame: its fields, which data set is open, and which section of it is shown."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import catalogue, formatting
from dashboard.address import Field, between, keep, one_of, restore, visit
from dashboard.data.data_sets import SPLITS, VAL, DataSet, known_sets
from dashboard.data.folders import remove_folder
from dashboard.errors import show_problem
from dashboard.workplace import open_store

if TYPE_CHECKING:
    from datamodules.sources import Source

LAUNCH_PAGE = "app_pages/launch.py"
NEXT = "next_set"
# The source for whatever lies in ImageNet's layout.
ANY_FOLDER = "folder"
READY, ARCHIVES = "folder", "archives"
WAYS: Mapping[str, str] = {READY: "A folder of images", ARCHIVES: "The archives, or nothing yet"}
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
    """Give the page's fields their values; give the data set that is open, if one is.

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


def show_head(data_set: DataSet) -> None:
    """Show a data set's name and the way back."""
    st.button("All data", type="tertiary", icon=":material/arrow_back:", on_click=open_set, args=(None,))
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(gap=None, width="content"):
            st.title(formatting.plain(data_set.title), anchor=False)
            st.caption(formatting.plain(data_set.root or data_set.source.description))
        with st.container(horizontal=True, width="content", gap="small"):
            if st.button("Train on it", icon=":material/rocket_launch:"):
                chosen = {"source": data_set.source.key, "root": data_set.root}
                st.switch_page(LAUNCH_PAGE, query_params={key: one for key, one in chosen.items() if one})
            if data_set.root:
                _show_removing(data_set)


def _show_removing(data_set: DataSet) -> None:
    with st.popover("Remove", icon=":material/playlist_remove:"):
        st.markdown("Take this folder off the list? Its images stay where they are.")
        st.button("Remove from the list", on_click=_remove, args=(data_set.key,))


def _remove(key: str) -> None:
    remove_folder(open_store(), key)
    open_set(None)


def choose_section() -> str:
    """Ask what to look at; the answer is part of the address."""
    section = st.segmented_control(
        "Section", list(SECTIONS), required=True, key="section", label_visibility="collapsed", wrap=True
    )
    return section or CLASSES


def show_section(section: str, data_set: DataSet) -> None:
    """Show a section, or one sentence why the data set cannot be opened."""
    from datamodules.errors import DataError

    fields = data_fields(known_sets(open_store()))
    # Before the section too: it may take seconds, and a reload meanwhile must find what was chosen.
    keep(fields)
    try:
        SECTIONS[section](data_set)
    except DataError as problem:
        show_problem(str(problem))
    keep(fields)


def _show_classes(data_set: DataSet) -> None:
    from dashboard.data.classes import show_classes

    show_classes(data_set)


def _show_images(data_set: DataSet) -> None:
    from dashboard.data.contact_sheet import show_images

    show_images(data_set)


def _show_sight(data_set: DataSet) -> None:
    from dashboard.data.sight import show_sight

    show_sight(data_set)


def _show_check(data_set: DataSet) -> None:
    from dashboard.data.report_view import show_check

    show_check(data_set)


def _show_packing(data_set: DataSet) -> None:
    from dashboard.data.packing import show_packing

    show_packing(data_set)


def _show_hierarchy(data_set: DataSet) -> None:
    from dashboard.data.hierarchy import show_hierarchy

    show_hierarchy(data_set)


CLASSES, IMAGES, SIGHT = "Classes", "Images", "What the network sees"
# Each imports what it needs when it is chosen: the first view of the page waits for none of the others.
SECTIONS: Mapping[str, Callable[[DataSet], None]] = {
    CLASSES: _show_classes,
    IMAGES: _show_images,
    SIGHT: _show_sight,
    "Check": _show_check,
    "Pack": _show_packing,
    "Hierarchy": _show_hierarchy,
}
