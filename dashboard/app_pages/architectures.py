"""Architectures: the networks as in their papers, all at a glance or one of them layer by layer."""

import streamlit as st

from dashboard.architectures.network_view import (
    choose_network,
    show_about,
    show_drawing,
    show_layers,
    show_published,
)
from dashboard.architectures.sections import choose_section, restore_fields, show_section

TITLE = "Architectures"
ICON = ":material/account_tree:"
ORDER = 5

if restore_fields():
    architecture, ledger, stages = choose_network()
    show_about(architecture, ledger)
    st.subheader("From the image to the classes", anchor=False)
    show_drawing(architecture, stages)
    st.subheader("Layer by layer", anchor=False)
    show_layers(ledger)
    st.subheader("Published errors", anchor=False)
    show_published(architecture)
    st.stop()

st.title("Architectures", anchor=False)
st.caption(
    "Counted here at the paper's number of classes and image size. Published errors are on the images "
    "of the paper; errors measured here name their own images."
)
show_section(choose_section())
