"""Starting a command on data from the page, beside the shell command that does the same."""

from collections.abc import Sequence

import streamlit as st

from dashboard.widgets.shell import show_command
from dashboard.workplace import open_store
from jobs import data_jobs


def offer(
    label: str, words: Sequence[str], icon: str, *, primary: bool = True, disabled: bool = False
) -> bool:
    """Show a button that starts a command in the background, and the command; say whether it was pressed.

    Raises:
        LaunchError: the command cannot be started.
        StoreUnavailable: the store cannot be written.
    """
    wanted = st.button(label, icon=icon, type="primary" if primary else "secondary", disabled=disabled)
    show_command(data_jobs.command_line(words))
    if wanted:
        data_jobs.start(open_store(), words)
    return wanted
