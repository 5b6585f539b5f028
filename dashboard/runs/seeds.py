"""Runs with different seeds, summarised: mean and spread, one line per configuration."""

from collections.abc import Sequence

import streamlit as st

from dashboard.runs.rows import setting_text
from dashboard.widgets import formatting
from tracking.groups import SeedGroup

ERRORS = {"val/error_top1": "Top-1 error, %", "val/error_top5": "Top-5 error, %"}


def show_seeds(groups: Sequence[SeedGroup]) -> None:
    """Show a table of the configurations that were trained with several seeds, nothing without any.

    What was launched as one group is left out: it has a table of its own.
    """
    groups = [group for group in groups if not group.submitted_together]
    if not groups:
        return
    st.subheader("Over seeds", anchor=False)
    st.caption("Finished runs that differ only in the seed: mean ± standard deviation of the last value.")
    st.dataframe(
        [
            {
                "Network": group.runs[0].architecture,
                "Trained on": setting_text(group.runs[0]),
                "Epochs": group.runs[0].max_epochs,
                **{name: spread_text(group, key) for key, name in ERRORS.items()},
                "Seeds": len(group.runs),
            }
            for group in groups
        ],
        hide_index=True,
        width="content",
        alt="Mean and standard deviation of the errors over seeds",
    )


def spread_text(group: SeedGroup, key: str) -> str:
    """Write a mean with its spread: `2.31 ± 0.12`."""
    mean, spread = group.mean(key), group.spread(key)
    if mean is None:
        return formatting.NOTHING
    return f"{mean:.2f}" if spread is None else f"{mean:.2f} ± {spread:.2f}"
