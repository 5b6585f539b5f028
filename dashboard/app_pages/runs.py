"""Runs: the queue, what is running, what is done; one run in full at `?run=<id>`."""

import streamlit as st

from dashboard.runs.board import read_board
from dashboard.runs.detail import show_head, show_progress, show_settings, state_of
from dashboard.runs.groups import show_groups
from dashboard.runs.now import show_now
from dashboard.runs.rows import show_done, show_empty
from dashboard.runs.seeds import show_seeds
from dashboard.widgets.address import show_address
from dashboard.widgets.live import live
from dashboard.workplace import open_store
from tracking.groups import groups, seed_groups

TITLE = "Runs"
ICON = ":material/list_alt:"
ORDER = 3

if run_id := st.query_params.get("run"):
    show_address(run=run_id)
    run = show_head(run_id)
    live(show_progress, state_of(run), run_id)
    show_settings(run)
    st.stop()

show_address()
board = read_board(open_store())
st.title("Runs", anchor=False)
if board.is_empty:
    show_empty()
    st.stop()
st.subheader("Now", anchor=False)
live(show_now, board.state)
show_groups(groups([*board.active, *board.others, *board.done]))
st.subheader("Done", anchor=False)
show_done(board.done)
show_seeds(seed_groups(board.done))
