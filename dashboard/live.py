"""Parts of a page that refresh by themselves while something is running."""

from collections.abc import Callable, Hashable
from typing import ParamSpec

import streamlit as st

from dashboard.errors import plain_words

EVERY_S = 2.0

P = ParamSpec("P")


def live(part: Callable[P, Hashable], state: Hashable, *args: P.args, **kwargs: P.kwargs) -> None:
    """Show a part of a page, again every two seconds while something is active.

    Args:
        part: draws itself and gives the state it found; another one than before draws the whole page anew.
        state: what is active now, such as the runs that are; an idle page (a false value) costs nothing.
        *args: what `part` is called with.
        **kwargs: what `part` is called with.
    """

    @st.fragment(run_every=EVERY_S if state else None)
    def refreshing() -> None:
        found = state
        with plain_words():
            found = part(*args, **kwargs)
        if state and found != state:
            st.rerun()

    with st.container():
        refreshing()
