"""The frame around every page: navigation, the line on what is running, and errors in plain words.

Started by `python -m dashboard`; Streamlit runs this file once for every interaction.
"""

import gc
from functools import lru_cache
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from dashboard.navigation import discover_pages
from dashboard.networks import catalogue
from dashboard.runs.board import Board, read_board
from dashboard.widgets.address import arrive
from dashboard.widgets.live import watch
from dashboard.widgets.problems import plain_words
from dashboard.workplace import keep_supervised, open_store

HERE = Path(__file__).parent


@lru_cache
def freeze_imports() -> None:
    """Take what is imported out of the collector's sight: Streamlit collects after every rerun."""
    gc.collect()
    gc.freeze()


def show_summary() -> bool:
    """Show in the sidebar what is running."""
    board: Board = read_board(open_store())
    st.caption(f":material/{'play_circle' if board.is_active else 'check_circle'}: {board.summary}")
    return board.is_active


def choose_page() -> Page:
    """Show the navigation and find out which page was asked for."""
    files = discover_pages()
    pages = [
        st.Page(file.path, title=file.title, icon=file.icon, url_path=file.url_path, default=file is files[0])
        for file in files
    ]
    chosen = st.navigation(pages, position="hidden")
    # Links of our own: Streamlit's leave the address as it is, so `Runs` would not lead away from one run.
    with st.sidebar, st.container(key="navigation", gap="xxsmall"):
        for page in pages:
            st.page_link(page)
        st.divider()
    return chosen


def main() -> None:
    """Lay out the frame and run the chosen page in it."""
    freeze_imports()
    st.set_page_config("Convnet arena", HERE / "icon.svg", layout="wide", initial_sidebar_state=220)
    st.html(HERE / "style.css")
    page = choose_page()
    arrive(page.url_path)
    catalogue.warm_up()
    with plain_words():
        # A store that cannot be opened is said once, and nothing below could work.
        store = open_store()
        with plain_words():
            keep_supervised(store)
        with st.sidebar:
            watch(show_summary, read_board(store).is_active)
        page.run()


main()
