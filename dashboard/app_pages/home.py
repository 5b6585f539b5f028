"""Home: what is running, what came out best, what this machine has, and one way to start."""

import streamlit as st

from dashboard.board import read_board
from dashboard.home import show_best, show_machine, show_start
from dashboard.live import live
from dashboard.run_rows import show_active
from dashboard.workplace import open_store

TITLE = "Home"
ICON = ":material/home:"
ORDER = 1

board = read_board(open_store())
st.title("Convnet arena", anchor=False)
st.caption("Train, watch and compare the networks that won ImageNet.")
show_start(empty=board.is_empty)

left, right = st.columns([3, 1], gap="large")
with left:
    st.subheader("Now", anchor=False)
    live(show_active, board.is_active, limit=6)
    st.subheader("Best top-1 error per architecture", anchor=False)
    show_best()
with right:
    st.subheader("This machine", anchor=False)
    show_machine()
    st.caption(board.totals)
