"""One run: how it is, its curves, its log and its settings."""

from collections.abc import Hashable, Mapping
from typing import Literal

import streamlit as st

from dashboard.runs import curves
from dashboard.runs.actions import show_actions
from dashboard.runs.board import read_board
from dashboard.runs.images import describe_skipped, show_data
from dashboard.runs.rows import RUNS_PAGE, progress_text, remaining_text, setting_text, status_text
from dashboard.widgets import charts, formatting
from dashboard.workplace import open_store
from jobs.host.logs import read_log, read_tail
from jobs.scheduling.queue import FREE_DEVICE, is_held
from jobs.supervision.notifications import PROBLEM
from tracking.runs import Run, get_run, read_config
from tracking.scaling import COMPARED_WITH, EFFICIENCY

LOG_LINES = 200
# Beside the reason of a failure.
LAST_WORDS = 5
LOG_HEIGHT = 300
LOG_LINES_IN_HEIGHT = 10
# Percent of the time from which on it is worth saying that a run waits for images.
NOTABLE_WAIT = 10
CHARTS = ("error_top1", "loss")
# What a run says about the weights it started from, as people read it.
START_LABELS = {
    "weights.source": "Started from",
    "weights.run": "Of the run",
    "weights.published_error_top1": "Published top-1 error, %",
    "weights.published_error_top5": "Published top-5 error, %",
    "weights.protocol": "Measured on",
    "weights.new_layers": "Newly initialised",
    "weights.afresh": "Newly initialised",  # of earlier runs
    "weights.sha256": "SHA-256",
}


def show_head(run_id: str) -> Run:
    """Show the run's name and what one can do with it.

    Raises:
        ValueError: there is no such run.
    """
    st.page_link(RUNS_PAGE, label="All runs", icon=":material/arrow_back:")
    run = get_run(open_store(), run_id)
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        with st.container(gap=None, width="content"):
            st.header(formatting.plain(run.name), anchor=False)
            st.caption(
                f"{run.architecture} on {setting_text(run)} · submitted {formatting.clock(run.created_at)}"
            )
        show_actions(run)
    return run


def state_of(run: Run) -> Hashable:
    """Return what the rest of the page depends on while the run is active, nothing once it has ended."""
    return run.is_active and (run.status, run.is_stopping, len(run.params))


def show_progress(run_id: str) -> Hashable:
    """Show what changes while the run trains: status, figures, curves, log; return its state."""
    store = open_store()
    run = get_run(store, run_id)
    _show_status(run)
    _show_figures(run)
    for column, metric in zip(st.columns(2, gap="medium"), CHARTS, strict=True):
        with column:
            _show_curve(run, metric)
    st.subheader("Log", anchor=False)
    st.caption(f"The last {LOG_LINES} lines of what the training process printed.")
    log = read_log(store, run_id, LOG_LINES)
    height: int | Literal["content"] = LOG_HEIGHT if log.count("\n") > LOG_LINES_IN_HEIGHT else "content"
    with st.container(height=height, border=False, key="log", autoscroll=run.is_active):
        st.code(log, language=None, wrap_lines=True)
    return state_of(run)


def show_settings(run: Run) -> None:
    """Show what the run was launched with, and what its training process found out."""
    _show_start(run)
    show_data(run)
    st.subheader("Settings", anchor=False)
    chosen, found, yaml = st.tabs(["As launched", "Determined during training", "YAML"])
    with chosen:
        _show_pairs(run.settings)
    with found:
        _show_pairs({key: value for key, value in run.params.items() if key not in run.settings})
    with yaml:
        st.code(read_config(open_store(), run.run_id), language="yaml")


def _show_start(run: Run) -> None:
    pairs = {label: run.params[key] for key, label in START_LABELS.items() if key in run.params}
    if pairs:
        st.subheader("Starting weights", anchor=False)
        rows = "\n".join(f"| {label} | {formatting.plain(value)} |" for label, value in pairs.items())
        st.markdown(f"| | |\n|:--|:--|\n{rows}")


def _show_status(run: Run) -> None:
    if run.status == "RUNNING":
        st.progress(run.progress, text=f"{status_text(run)} {progress_text(run)} · {remaining_text(run)}")
    elif run.status == "SCHEDULED":
        goes_on = run.tags.get("job.request") == "resume"
        obstacle = read_board(open_store()).obstacle(run)
        when = (
            ", as soon as a device is free" if obstacle == FREE_DEVICE else f": {formatting.plain(obstacle)}"
        )
        what = f"It is queued to {'resume' if goes_on else 'start'}{when}"
        held = "It is held until it is released on the Runs page"
        st.markdown(f"{status_text(run)} {held if is_held(run) else what}.")
        if goes_on and (reason := run.tags.get("job.lost_reason")):
            st.info(formatting.plain(reason), icon=":material/restart_alt:")
    else:
        st.markdown(f"{status_text(run)} {formatting.ago(run.ended_at)}")
    if run.is_terminal and (problem := run.tags.get(PROBLEM)):
        st.caption(f"The notification that it has ended failed: {formatting.plain(problem)}")
    if run.error:
        st.error(formatting.plain(run.error), icon=":material/error:")
        if words := read_tail(open_store().log_file(run.run_id), LAST_WORDS):
            st.code(words, language=None, wrap_lines=True)
    if skipped := run.tags.get("data.skipped"):
        st.warning(describe_skipped(run, int(skipped)))


def _show_figures(run: Run) -> None:
    figures = {
        "Top-1 error": formatting.percent(run.metrics.get("val/error_top1")),
        "Top-5 error": formatting.percent(run.metrics.get("val/error_top5")),
        "Epochs": formatting.epochs(run.epoch, run.max_epochs),
        "Images/s": formatting.short_count(run.images_per_s),
        "Training time": formatting.duration(run.duration_s),
        "Parameters": formatting.short_count(run.parameters),
    }
    devices = int(run.number("world_size") or 1)
    if devices > 1:
        figures["Scaling efficiency"] = formatting.percent(run.metrics.get(EFFICIENCY))
    with st.container(horizontal=True, gap="medium", key="figures"):
        for label, value in figures.items():
            st.metric(label, value, width=135)
    if devices > 1:
        st.caption(_describe_scaling(run, devices))
    if (run.data_wait or 0) >= NOTABLE_WAIT:
        st.caption(
            f"Recently, this run spent {formatting.percent(run.data_wait)} of the time waiting "
            "for images; packed images, or more loader workers, would make it faster."
        )


def _describe_scaling(run: Run, devices: int) -> str:
    if name := run.tags.get(COMPARED_WITH):
        return (
            f"Scaling efficiency: of {devices} times the images/s of {formatting.plain(name)} on one device."
        )
    return (
        "Scaling efficiency is not measured: when this run started, no other run had trained the same on "
        "one device here. Train one epoch on one device; the next run on several devices is then compared "
        "with it."
    )


def _show_curve(run: Run, metric: str) -> None:
    name = formatting.metric_name(metric)
    lines = curves.read_lines(open_store(), [run], metric)
    st.markdown(f"**{name.capitalize()}** :gray[:small[validation solid, training dashed]]")
    if not lines and not run.is_active:
        st.caption("The run ended before this was measured.")
        return
    x_range = (0.0, float(run.max_epochs)) if run.max_epochs and run.is_active else None
    figure = charts.curves(lines, "Epoch", curves.y_title(metric), height=300, legend=False, x_range=x_range)
    st.plotly_chart(
        figure, key=f"curve-{metric}", config=dict(charts.CONFIG), alt=f"{name} of {run.name} by epoch"
    )


def _show_pairs(pairs: Mapping[str, str]) -> None:
    if not pairs:
        st.caption("Nothing yet.")
        return
    rows = "\n".join(f"| `{key}` | {formatting.plain(value)} |" for key, value in sorted(pairs.items()))
    st.markdown(f"| Setting | Value |\n|:--|:--|\n{rows}")
