"""Home: one way to start, what is running, what came out best, what is done, what this machine has."""

import streamlit as st

from dashboard.home.view import show_best, show_latest, show_machine, show_start
from dashboard.runs.board import read_board
from dashboard.runs.rows import show_active
from dashboard.widgets.live import live
from dashboard.workplace import open_store

TITLE = "Home"
ICON = ":material/home:"
ORDER = 1

board = read_board(open_store())
st.title("Convnet arena", anchor=False)
st.caption("Train, watch and compare the networks that won ImageNet.")
show_start(empty=board.is_empty)

st.subheader("Now", anchor=False)
live(show_active, board.state, limit=6)
st.subheader("Best top-1 error per architecture", anchor=False)
show_best()
st.subheader("Recently finished", anchor=False)
show_latest(board.done)
if not board.is_empty:
    st.caption(board.totals)
st.subheader("This machine", anchor=False)
show_machine()
