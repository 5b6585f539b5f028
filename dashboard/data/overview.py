"""All data sets at a glance, and adding a folder."""

from html import escape

import streamlit as st

from dashboard import catalogue, formatting
from dashboard.data import frame
from dashboard.data.data_sets import DataSet, count, known_sets
from dashboard.data.folders import add_folder, allowed_roots, check_folder
from dashboard.errors import show_problem
from dashboard.workplace import open_store

CARD_WIDTH = 290


def show_sets() -> None:
    """Show a card for each data set.

    Raises:
        ValueError: the list of folders cannot be read.
        StoreUnavailable: the store cannot be read.
    """
    with st.container(horizontal=True, gap="small", key="sets"):
        for number, data_set in enumerate(known_sets(open_store()).values()):
            _show_card(number, data_set)


def show_adding() -> None:
    """Ask for a folder, check it on the server, and keep it.

    Raises:
        ValueError: the list of folders cannot be read.
        StoreUnavailable: the store cannot be written.
    """
    sources = frame.sources_of_folders()
    with st.container(border=True, key="adding"):
        key = st.segmented_control(
            "What it is",
            list(sources),
            required=True,
            format_func=lambda key: sources[key].title,
            wrap=True,
            key="kind",
        )
        source = sources[key or next(iter(sources))]
        st.caption(formatting.plain(source.description))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            typed = st.text_input(
                "Folder on this machine", placeholder="/path/to/imagenet", max_chars=1000, key="folder"
            )
            wanted = st.button("Add", icon=":material/add:", type="primary")
        if wanted:
            _add(source.key, typed)
        st.caption(f"Folders may lie in {formatting.plain(', '.join(map(str, allowed_roots())))}.")


def _add(source: str, typed: str) -> None:
    from datamodules.errors import DataError

    try:
        root = check_folder(typed)
        data_set = DataSet(catalogue.sources()[source], str(root))
        count(data_set)
    except (ValueError, DataError) as problem:
        show_problem(str(problem))
        return
    add_folder(open_store(), source, str(root))
    frame.open_next(data_set.key)


def _show_card(number: int, data_set: DataSet) -> None:
    with st.container(border=True, key=f"card-set-{number}", width=CARD_WIDTH, gap=None):
        st.button(
            formatting.plain(data_set.title),
            key=f"open-set-{number}",
            type="tertiary",
            on_click=frame.open_set,
            args=(data_set.key,),
        )
        st.markdown(_card(data_set), unsafe_allow_html=True)


def _card(data_set: DataSet) -> str:
    where = data_set.root or data_set.source.description
    state = "its folder is not there" if data_set.is_missing else "ready"
    return f'<div class="card"><p>{escape(state)}</p><p>{escape(where)}</p></div>'
