"""The Compare page's parts: choice, curves, table, scatter, settings."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.compare import rows as comparing
from dashboard.networks import catalogue
from dashboard.runs import curves
from dashboard.runs.board import read_runs
from dashboard.runs.rows import RUNS_PAGE
from dashboard.widgets import charts, formatting
from dashboard.widgets.address import Field, keep, restore
from dashboard.workplace import open_store
from tracking.comparison import best_and_last, series_csv
from tracking.runs import Run
from tracking.series import metric_keys

Fields = Mapping[str, Field]

ERRORS = ("error_top1", "error_top5")


def choose_runs() -> tuple[list[Run], Fields]:
    """Ask which runs to compare; the answer is part of the address."""
    runs = {run.run_id: run for run in comparing.comparable(read_runs(open_store()))}
    labels = curves.run_labels(list(runs.values()))
    fields = comparing.run_field(list(runs.values()))
    restore(fields)
    chosen = st.multiselect(
        "Runs to compare",
        list(runs),
        format_func=lambda run_id: labels[run_id],
        key="runs",
        placeholder="Choose runs" if runs else "No run has reported a metric yet",
        disabled=not runs,
    )
    return [runs[run_id] for run_id in chosen], fields


def show_curves(runs: Sequence[Run], run_field: Fields) -> str:
    """Overlay a metric of the runs on the axis of choice; give the metric's name."""
    store = open_store()
    names = curves.metric_choices(metric_keys(store, [run.run_id for run in runs]))
    fields = comparing.curve_fields(names)
    restore(fields)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        metric = st.selectbox("Metric", names, format_func=formatting.metric_name, key="metric", width=200)
        axis = st.segmented_control(
            "Across",
            list(curves.X_NAMES),
            required=True,
            format_func=lambda key: curves.X_NAMES[key],
            key="across",
        )
        splits = st.pills(
            "Split",
            list(curves.SPLITS),
            selection_mode="multi",
            format_func=lambda key: curves.SPLIT_NAMES[key],
            key="splits",
        )
        log_y = st.toggle("Logarithmic", key="log")
    keep({**run_field, **fields})
    lines = curves.read_lines(store, runs, metric, axis or "epoch", splits)
    if not lines:
        st.caption(
            "Choose a split above to see its curves." if not splits else "These runs have not recorded this."
        )
        return metric
    lines, x_title = curves.in_units(lines, axis or "epoch")
    figure = charts.curves(lines, x_title, curves.y_title(metric), log_y=log_y)
    st.plotly_chart(figure, key="curves", config=dict(charts.CONFIG), alt=f"{metric} of {len(runs)} runs")
    return metric


def show_table(runs: Sequence[Run]) -> None:
    """Set best and last values, size, cost and speed side by side, and offer all points as CSV."""
    store = open_store()
    percent = st.column_config.NumberColumn(format="%.1f %%")
    rows = comparing.table_rows(store, runs)
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Run": st.column_config.TextColumn(pinned=True),
            **{f"Top-{k} {which}": percent for k in (1, 5) for which in ("best", "last")},
            **{f"Loss {which}": st.column_config.NumberColumn(format="%.3f") for which in ("best", "last")},
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "MACs": st.column_config.NumberColumn(format="localized"),
            "Images/s": st.column_config.NumberColumn(format="%.0f"),
        },
        placeholder=formatting.NOTHING,
        alt="Best and last values of the chosen runs",
    )
    keys = metric_keys(store, [run.run_id for run in runs])
    st.download_button(
        "Download every point as CSV",
        lambda: series_csv(store, runs, keys),
        file_name="convnet-arena.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def show_costs(runs: Sequence[Run], metric: str) -> None:
    """Set errors against parameters and MACs, with what the papers published for reference."""
    error = metric if metric in ERRORS else ERRORS[0]
    keys = [run.architecture for run in runs]
    best = best_and_last(open_store(), runs, [f"val/{error}"])
    for column, (cost, title) in zip(st.columns(2, gap="medium"), comparing.COSTS.items(), strict=True):
        marks = comparing.run_marks(runs, best, cost)
        marks += comparing.published_marks(catalogue.architectures(), keys, error, catalogue.costs(cost))
        with column:
            figure = charts.scatter(marks, f"{title} (logarithmic)", curves.y_title(error))
            st.plotly_chart(
                figure, key=f"cost-{cost}", config=dict(charts.CONFIG), alt=f"error against {title}"
            )
    st.caption(
        "Filled marks are runs of this store on their own images. Hollow diamonds are errors published in "
        "the papers on ImageNet, by the protocol shown when you point at them: a reference, not a competitor "
        "on the same data."
    )


def show_settings(runs: Sequence[Run]) -> None:
    """List only the settings in which the runs differ."""
    rows = comparing.setting_rows(runs)
    if not rows:
        st.caption(
            "These runs were trained with the same settings." if len(runs) > 1 else "Choose a second run."
        )
        return
    st.dataframe(
        rows,
        hide_index=True,
        column_config={"Run": st.column_config.TextColumn(pinned=True)},
        alt="Settings in which the runs differ",
    )


def show_empty(fields: Fields) -> None:
    """Return what to do where there is nothing to compare."""
    keep(fields)
    with st.container(border=True):
        if read_runs(open_store()):
            st.markdown("Choose two or more runs above. A run can be chosen after its first epoch.")
            st.page_link(RUNS_PAGE, label="Show all runs", icon=":material/list_alt:")
        else:
            st.markdown(
                "Nothing to compare yet. Launch two or more networks; their curves appear here in one "
                "chart after the first epoch."
            )
            st.page_link("app_pages/launch.py", label="Launch networks", icon=":material/rocket_launch:")
