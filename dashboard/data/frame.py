"""The Data page's frame: the head of the data set that is open, and its sections."""

from collections.abc import Callable, Mapping

import streamlit as st

from dashboard.data.data_sets import DataSet, known_sets
from dashboard.data.fields import (
    CHECK,
    CLASSES,
    HIERARCHY,
    IMAGES,
    PACK,
    SIGHT,
    data_fields,
    open_set,
)
from dashboard.known_folders import remove_folder
from dashboard.widgets import formatting
from dashboard.widgets.address import keep
from dashboard.widgets.problems import show_problem
from dashboard.workplace import open_store

LAUNCH_PAGE = "app_pages/launch.py"


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
        st.markdown("Remove this folder from the list? Its images are not deleted.")
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
    from datamodules.problems import DataError

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


# Each imports what it needs when it is chosen: the first view of the page waits for none of the others.
SECTIONS: Mapping[str, Callable[[DataSet], None]] = {
    CLASSES: _show_classes,
    IMAGES: _show_images,
    SIGHT: _show_sight,
    CHECK: _show_check,
    PACK: _show_packing,
    HIERARCHY: _show_hierarchy,
}
