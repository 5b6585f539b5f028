"""Launch: choose networks, images and recipe; each network becomes a job."""

import streamlit as st

from dashboard.launch.clone import take_up_clone
from dashboard.launch.form import show_fields
from dashboard.launch.summary import show_order

TITLE = "Launch"
ICON = ":material/rocket_launch:"
ORDER = 2

st.title("Launch", anchor=False)
take_up_clone()
fields, order = st.columns([3, 2], gap="large")
with fields:
    form = show_fields()
with order, st.container(key="order", border=True):
    show_order(form)
