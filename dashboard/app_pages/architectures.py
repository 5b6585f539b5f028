"""Architectures: the networks as in their papers, and one of them layer by layer."""

import streamlit as st

from dashboard.architectures_view import (
    choose_network,
    show_about,
    show_layers,
    show_networks,
    show_published,
)

TITLE = "Architectures"
ICON = ":material/account_tree:"
ORDER = 5

st.title("Architectures", anchor=False)
st.caption(
    "Counted here at 1,000 classes and the paper's image size. Published errors are those of ImageNet; "
    "what was measured here names its own images."
)
show_networks()
st.subheader("Layer by layer", anchor=False)
architecture, ledger = choose_network()
show_about(architecture, ledger)
show_layers(architecture, ledger)
st.subheader("Published errors", anchor=False)
show_published(architecture)
