"""The one place where an error becomes a sentence on the page."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.widgets.formatting import plain
from datamodules.problems import DataError
from jobs.problems import LaunchError
from tracking.problems import StoreUnavailable

LOG = logging.getLogger(__name__)


def show_problem(problem: str) -> None:
    """Say at a field why it cannot work, nothing when it can."""
    if problem:
        st.markdown(f":red[:material/error: {plain(problem)}]")


@contextmanager
def plain_words() -> Iterator[None]:
    """Show what goes wrong inside as one sentence with the way out, never as a traceback."""
    try:
        yield
    except StoreUnavailable as problem:
        st.error(
            f"{plain(str(problem))}  \nRunning jobs are not affected. Correct this, then reload the page.",
            icon=":material/database_off:",
        )
    except (LaunchError, DataError, ValueError) as problem:
        st.error(plain(str(problem)), icon=":material/error:")
    except Exception:
        LOG.exception("A page failed")
        st.error(
            "The dashboard itself has failed; the reason is in the terminal it was started from. "
            "Running jobs are not affected, and it is safe to reload this page.",
            icon=":material/error:",
        )
