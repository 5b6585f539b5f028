"""Popular claims about these networks, and what exactly is true."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.architectures.checked_claims import Catalogue, Claim, check_claims
from dashboard.networks import catalogue

if TYPE_CHECKING:
    from lightning_modules.ledger.table import Ledger


def show_claims() -> None:
    """Show each claim with its verdict, the reason, and the numbers behind it."""
    st.caption(
        "Each of these sentences is repeated in many places. Numbers marked as counted were counted just "
        "now, from the networks of this catalogue at 1,000 classes and the paper's image size; the others "
        "are quoted."
    )
    with st.spinner("Counting the networks …"):
        claims = check_claims(Catalogue(catalogue.architectures(), _count))
    for claim in claims:
        _show_claim(claim)


def _count(key: str, options: Mapping[str, str]) -> "Ledger":
    return catalogue.ledger(key, None, None, options)


def _show_claim(claim: Claim) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**“{claim.sentence}”**", width="content")
            st.markdown(claim.verdict.badge, width="content")
        st.markdown(claim.explanation)
        with st.expander("The numbers", icon=":material/calculate:"):
            st.markdown(figures_table(claim))


def figures_table(claim: Claim) -> str:
    """Write the numbers behind a claim as a table, each with where it is from."""
    rows = [f"| {figure.what} | {figure.value} | {figure.source} |" for figure in claim.figures]
    return "\n".join(["| What | Value | From |", "|:--|--:|:--|", *rows])
