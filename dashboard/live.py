"""Parts of a page that refresh by themselves while something is running."""

from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from dashboard.errors import plain_words

EVERY_S = 2.0

P = ParamSpec("P")


def live(part: Callable[P, bool], active: bool, *args: P.args, **kwargs: P.kwargs) -> None:
    """Show a part of a page, again every two seconds while something is active.

    Args:
        part: draws itself and says whether it can still change by itself.
        active: whether it can change now; an idle page costs nothing.
        *args: what `part` is called with.
        **kwargs: what `part` is called with.
    """

    @st.fragment(run_every=EVERY_S if active else None)
    def refreshing() -> None:
        still_active = active
        with plain_words():
            still_active = part(*args, **kwargs)
        if active and not still_active:
            st.rerun()

    with st.container():
        refreshing()
