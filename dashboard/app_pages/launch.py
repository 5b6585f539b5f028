"""Launch: choose networks, data and recipe; each network becomes a job."""

import streamlit as st

TITLE = "Launch"
ICON = ":material/rocket_launch:"
ORDER = 2

st.header("Launch", anchor=False)
