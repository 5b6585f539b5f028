"""All data sets at a glance: what each holds, and whether it can be used."""

from html import escape

import streamlit as st

from dashboard import formatting
from dashboard.data import frame
from dashboard.data.data_sets import DataSet, known_sets
from dashboard.data.folders import Folder, read_folders
from dashboard.workplace import open_store
from datamodules.reports import CheckReport, read_report

CARD_WIDTH = 296


def show_sets() -> None:
    """Show a card for each data set.

    Raises:
        ValueError: the list of folders cannot be read.
        StoreUnavailable: the store cannot be read.
    """
    folders = {one.key: one for one in read_folders(open_store())}
    with st.container(horizontal=True, gap="small", key="sets"):
        for number, data_set in enumerate(known_sets(open_store()).values()):
            _show_card(number, data_set, folders.get(data_set.key))


def _show_card(number: int, data_set: DataSet, folder: Folder | None) -> None:
    with st.container(border=True, key=f"card-set-{number}", width=CARD_WIDTH, gap=None):
        st.button(
            formatting.plain(data_set.title),
            key=f"open-set-{number}",
            type="tertiary",
            on_click=frame.open_set,
            args=(data_set.key,),
        )
        st.markdown(card(data_set, folder), unsafe_allow_html=True)


def card(data_set: DataSet, folder: Folder | None) -> str:
    """Write what a card says besides the data set's name as HTML."""
    state = "" if not data_set.is_missing else '<b class="broken">The folder is not there.</b><br>'
    where = escape(folder.root if folder else data_set.source.description)
    numbers = f"<b>{escape(folder.numbers or 'not looked at yet')}</b><br>" if folder else ""
    source = f"{escape(data_set.source.title)} · " if folder else ""
    checked = escape(check_text(read_report(data_set.source.key, data_set.path)))
    return f'<div class="card"><p>{state}{numbers}{where}</p><p>{source}{checked}</p></div>'


def check_text(report: CheckReport | None) -> str:
    """Say in a few words what the last check has found."""
    if report is None:
        return "not checked yet"
    errors, warnings = report.count("error"), report.count("warning")
    found = [formatting.plural(errors, "error")] * bool(errors)
    found += [formatting.plural(warnings, "warning")] * bool(warnings)
    return f"checked {formatting.ago(report.checked_at)}: {' and '.join(found) or 'nothing wrong'}"
