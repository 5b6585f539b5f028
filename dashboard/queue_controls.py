"""What one can do with a run that waits: move it, hold it, let it go."""

from typing import NamedTuple

import streamlit as st

from dashboard.workplace import open_store
from jobs.queue import Direction, hold, is_held, move, release
from tracking.runs import Run


class Step(NamedTuple):
    """A button that moves a run in the line."""

    icon: str
    help: str


STEPS: dict[Direction, Step] = {
    "first": Step(":material/vertical_align_top:", "To the front of the queue"),
    "up": Step(":material/arrow_upward:", "Before the one above"),
    "down": Step(":material/arrow_downward:", "After the one below"),
}


def show_queue_controls(run: Run, *, is_first: bool, is_last: bool) -> None:
    """Show the buttons of a waiting run.

    Raises:
        ValueError: the run has started in this very moment.
        StoreUnavailable: the store cannot be written.
    """
    store = open_store()
    with st.container(horizontal=True, gap="xxsmall", width="content", key=f"queue-{run.run_id}"):
        for direction, step in STEPS.items():
            stands_there = is_last if direction == "down" else is_first
            key = f"queue-{direction}-{run.run_id}"
            if st.button(step.icon, key=key, help=step.help, disabled=stands_there, type="tertiary"):
                move(store, run.run_id, direction)
                st.rerun()
        held = is_held(run)
        if st.button(
            "Release" if held else "Hold",
            key=f"queue-hold-{run.run_id}",
            help="Let it start in its turn" if held else "Keep it from starting; others pass it",
            type="tertiary",
        ):
            (release if held else hold)(store, run.run_id)
            st.rerun()
