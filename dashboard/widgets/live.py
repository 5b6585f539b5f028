"""Parts of a page that refresh by themselves."""

from collections.abc import Callable, Hashable
from typing import ParamSpec

import streamlit as st

from dashboard.widgets.problems import plain_words

EVERY_S = 2.0
IDLE_EVERY_S = 5.0

P = ParamSpec("P")


def live(part: Callable[P, Hashable], state: Hashable, *args: P.args, **kwargs: P.kwargs) -> None:
    """Show a part of a page, again every two seconds while something is active.

    Args:
        part: draws itself and returns the state it found; a changed state redraws the whole page.
        state: what is active now, such as the runs that are; an idle part (a false value) costs nothing.
        *args: what `part` is called with.
        **kwargs: what `part` is called with.
    """
    _refresh(lambda: part(*args, **kwargs), state, EVERY_S if state else None)


def watch(part: Callable[[], Hashable], state: Hashable) -> None:
    """Show a part as `live` does, and look when idle too: jobs also come from other windows and shells."""
    _refresh(part, state, EVERY_S if state else IDLE_EVERY_S)


def _refresh(part: Callable[[], Hashable], state: Hashable, every_s: float | None) -> None:
    @st.fragment(run_every=every_s)
    def refreshing() -> None:
        found = state
        with plain_words():
            found = part()
        if every_s and found != state:
            st.rerun()

    with st.container():
        refreshing()
