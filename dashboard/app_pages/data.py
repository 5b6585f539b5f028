"""Data: what there is to train on; one data set in full at `?set=<key>`."""

import streamlit as st

from dashboard.data.adding import show_adding
from dashboard.data.fields import restore_fields
from dashboard.data.frame import choose_section, show_head, show_section
from dashboard.data.job_rows import show_jobs
from dashboard.data.overview import show_sets

TITLE = "Data"
ICON = ":material/photo_library:"
ORDER = 6

if data_set := restore_fields():
    show_head(data_set)
    show_section(choose_section(), data_set)
    st.stop()

st.title("Data", anchor=False)
st.caption("Images to train on: what they contain, how they look, and what a network sees of them.")
show_sets()
st.subheader("Add images", anchor=False)
show_adding()
st.subheader("Commands on data", anchor=False)
show_jobs()
