"""All data sets at a glance: what each holds, and whether it can be used."""

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.data import fields
from dashboard.data.data_sets import DataSet, known_sets
from dashboard.known_folders import Folder, read_folders
from dashboard.widgets import formatting
from dashboard.workplace import open_store
from datamodules.checks.reports import CheckReport, read_report

if TYPE_CHECKING:
    from datamodules.sources import Source

CARD_WIDTH = 243


def show_sets() -> None:
    """Show a card for each data set, then one for each source that has no folder yet.

    Raises:
        ValueError: the list of folders cannot be read.
        StoreUnavailable: the store cannot be read.
    """
    folders = {one.key: one for one in read_folders(open_store())}
    served = {one.source for one in folders.values()}
    with st.container(horizontal=True, gap="small", key="sets"):
        for data_set in known_sets(open_store()).values():
            text = card(data_set, folders.get(data_set.key))
            _show_card(data_set.key, data_set.title, text, fields.open_set)
        for key, source in fields.sources_of_folders().items():
            if key not in served:
                _show_card(key, source.title, card_without_folder(source), fields.choose_kind)


def _show_card(key: str, title: str, text: str, act: Callable[[str], None]) -> None:
    with st.container(border=True, key=f"card-set-{key}", width=CARD_WIDTH, gap=None):
        st.button(formatting.plain(title), key=f"open-set-{key}", type="tertiary", on_click=act, args=(key,))
        st.markdown(text, unsafe_allow_html=True)


def card_without_folder(source: "Source") -> str:
    """Write what a card says of a source that needs a folder and has none, as HTML."""
    return f'<div class="card"><p>{escape(source.description)}</p><p>no folder added yet</p></div>'


def card(data_set: DataSet, folder: Folder | None) -> str:
    """Write what a card says besides the data set's name as HTML."""
    where = escape(folder.root if folder else data_set.source.description)
    numbers = f"<b>{escape(folder.numbers or 'not opened yet')}</b><br>" if folder else ""
    # One that was never looked at is yet to be made by a command.
    is_gone = data_set.is_missing and folder is not None and folder.numbers
    state = '<b class="broken">The folder is not there.</b><br>' if is_gone else numbers
    source = f"{escape(data_set.source.title)} · " if folder else ""
    checked = escape(check_text(read_report(data_set.source.key, data_set.root)))
    return f'<div class="card"><p>{state}{where}</p><p>{source}{checked}</p></div>'


def check_text(report: CheckReport | None) -> str:
    """Describe in a few words what the last check has found."""
    if report is None:
        return "not checked yet"
    errors, warnings = report.count("error"), report.count("warning")
    found = [formatting.plural(errors, "error")] * bool(errors)
    found += [formatting.plural(warnings, "warning")] * bool(warnings)
    return f"checked {formatting.ago(report.checked_at)}: {' and '.join(found) or 'no problem found'}"
