"""Runs that were submitted together: how far the group is, and the result of each configuration."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.runs.seeds import ERRORS, spread_text
from dashboard.widgets import formatting
from tracking.groups import Group, SeedGroup

SHOWN = 5
# What a group may vary, beside the network and the seed: the heading, the param that was chosen, and the one
# that the training process found out.
VARIED: Mapping[str, tuple[str, str]] = {
    "Recipe": ("model.recipe", ""),
    "Learning rate": ("model.learning_rate", "recipe.learning_rate"),
}


def show_groups(groups: Sequence[Group]) -> None:
    """Show the newest groups, the first one opened; nothing without any."""
    if not groups:
        return
    st.subheader("Groups", anchor=False)
    st.caption(
        "Runs that were launched together. Errors are the last of each finished run; "
        "for several seeds, mean ± standard deviation."
    )
    for group in groups[:SHOWN]:
        with st.expander(summary(group), expanded=group is groups[0]):
            st.dataframe(
                rows(group),
                hide_index=True,
                width="content",
                alt=f"Results of the runs of {group.name}",
            )


def summary(group: Group) -> str:
    """Describe how far a group is: `digits-5f2c01 · 12 runs: 8 done, 1 running, 3 queued`."""
    counts = {
        "done": group.count("FINISHED"),
        "failed": group.count("FAILED"),
        "stopped": group.count("KILLED"),
        "running": group.count("RUNNING"),
        "queued": group.count("SCHEDULED"),
    }
    found = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{formatting.plain(group.name)} · {formatting.plural(len(group.runs), 'run')}: {found}"


def rows(group: Group) -> list[dict[str, str]]:
    """Lay out a group, one row a configuration."""
    varied = {name: params for name, params in VARIED.items() if group.differs(params[0])}
    return [
        {
            "Network": one.runs[0].architecture,
            **{name: _value(one, *params) for name, params in varied.items()},
            **{name: spread_text(one, key) for key, name in ERRORS.items()},
            "Done": f"{sum(run.status == 'FINISHED' for run in one.runs)} of {len(one.runs)}",
        }
        for one in group.configurations
    ]


def _value(configuration: SeedGroup, chosen: str, found_out: str) -> str:
    run = configuration.runs[0]
    return run.params.get(chosen) or run.params.get(found_out, "") or "the recipe's"
