"""Compare: error curves of chosen runs over each other, best and last values, errors against cost."""

import streamlit as st

from dashboard.compare.view import choose_runs, show_costs, show_curves, show_empty, show_settings, show_table

TITLE = "Compare"
ICON = ":material/stacked_line_chart:"
ORDER = 4

st.title("Compare", anchor=False)
runs, fields = choose_runs()
if not runs:
    show_empty(fields)
    st.stop()
metric = show_curves(runs, fields)
st.subheader("Errors in percent, best and last epoch", anchor=False)
show_table(runs)
st.subheader("Error against cost", anchor=False)
show_costs(runs, metric)
st.subheader("Settings that differ", anchor=False)
show_settings(runs)
