"""Adding images: a folder that is ready, or archives from which a command makes one."""

from typing import TYPE_CHECKING

import streamlit as st

from dashboard.data import fields
from dashboard.data.commands import offer
from dashboard.data.data_sets import DataSet, describe, open_images
from dashboard.known_folders import add_folder
from dashboard.launch.images import choose_source
from dashboard.widgets import formatting
from dashboard.widgets.problems import show_problem
from dashboard.workplace import open_store
from datamodules.sources import is_address
from jobs.preflight.allowed_paths import allowed_roots, check_folder, check_place

if TYPE_CHECKING:
    from datamodules.sources import Source


def show_adding() -> None:
    """Ask what to add and where it is.

    Raises:
        ValueError: the list of folders cannot be read.
        LaunchError: the command cannot be started.
        StoreUnavailable: the store cannot be written.
    """
    with st.container(border=True, key="adding"):
        source = choose_source(fields.sources_of_folders(), fields.ANY_FOLDER, "kind")
        way = fields.READY
        if source.prepare is not None:
            way = st.radio(
                "What you have",
                list(fields.WAYS),
                format_func=lambda key: fields.WAYS[key],
                horizontal=True,
                key="way",
            )
        if way == fields.READY:
            _show_ready(source)
        else:
            _show_archives(source)
        places = formatting.plain(", ".join(map(str, allowed_roots())))
        st.caption(f"On the machine this dashboard runs on, within {places}.")


def _show_ready(source: "Source") -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input(
            "Folder or address" if source.open_address else "Folder",
            placeholder="s3://bucket/images" if source.open_address else "/path/to/images",
            max_chars=1000,
            key="folder",
        ).strip()
        wanted = st.button("Add", icon=":material/add:", type="primary")
    if wanted:
        _add(source, typed)


def _add(source: "Source", typed: str) -> None:
    from datamodules.problems import DataError

    try:
        # What lies elsewhere is asked for by its address; only what lies here has to be in its place.
        root = typed if source.open_address and is_address(typed) else str(check_folder(typed))
        data_set = DataSet(source, root)
        numbers = describe(open_images(data_set))
    except (ValueError, DataError) as problem:
        show_problem(str(problem))
        return
    add_folder(open_store(), source.key, data_set.root, numbers)
    fields.open_next(data_set.key)


def _show_archives(source: "Source") -> None:
    archives = st.text_input(
        "Folder of the archives",
        placeholder="/path/to/downloads",
        max_chars=1000,
        key="archives",
        help="It contains the files as downloaded. If this is empty, public archives are downloaded.",
    ).strip()
    target = st.text_input(
        "Folder for the images", placeholder="/path/to/images", max_chars=1000, key="folder"
    ).strip()
    words, root = ["prepare", source.key], ""
    try:
        if archives:
            words += ["--archives", str(check_folder(archives))]
        root = str(check_place(target)) if target else ""
    except ValueError as problem:
        show_problem(str(problem))
    if offer("Prepare", [*words, "--root", root or "DIR"], ":material/unarchive:", disabled=not root):
        add_folder(open_store(), source.key, root)
        st.rerun()
