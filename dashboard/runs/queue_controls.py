"""What one can do with a run that waits: move it, hold it, let it go, say when it comes."""

from typing import NamedTuple

import streamlit as st

from dashboard.runs.board import read_board
from dashboard.widgets.problems import plain_words
from dashboard.workplace import open_store
from jobs.scheduling.queue import (
    AFTER,
    PRIORITIES,
    Direction,
    hold,
    is_held,
    move,
    prioritise,
    priority_of,
    release,
    start_after,
)
from tracking.runs import Run


class Step(NamedTuple):
    """A button that moves a run in the line."""

    icon: str
    help: str


STEPS: dict[Direction, Step] = {
    "first": Step(":material/vertical_align_top:", "To the front of the queue"),
    "up": Step(":material/arrow_upward:", "Up by one"),
    "down": Step(":material/arrow_downward:", "Down by one"),
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
            # Two keys: a click on what another window has done already must not undo it.
            key=f"queue-{'release' if held else 'hold'}-{run.run_id}",
            help="Allow it to start" if held else "Keep it from starting; other jobs pass it",
            type="tertiary",
        ):
            (release if held else hold)(store, run.run_id)
            st.rerun()


def show_turn(run: Run) -> None:
    """Ask, on the page of a waiting run, for its priority and for a run that it is to follow.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    store = open_store()
    active = read_board(store).active
    names = {"": "no other run"} | {one.run_id: one.name for one in active if one.run_id != run.run_id}
    follows = run.tags.get(AFTER, "")
    if follows not in names:
        follows = ""
    with st.popover("Turn", icon=":material/low_priority:"):
        after = st.selectbox(
            "Start after",
            list(names),
            index=list(names).index(follows),
            format_func=lambda run_id: names[run_id],
            help="Start when that run has ended, for whatever reason, and a device is free",
        )
        priority = st.number_input(
            "Priority",
            PRIORITIES.start,
            PRIORITIES.stop - 1,
            priority_of(run),
            help="Jobs with a higher priority start first; the default is 0",
        )
    with plain_words():
        if after != follows:
            start_after(store, run.run_id, after or None)
            st.rerun()
        if priority != priority_of(run):
            prioritise(store, run.run_id, int(priority))
            st.rerun()
