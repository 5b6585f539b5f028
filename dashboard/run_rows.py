"""Runs as rows: one line each, the name a link to the run's own address."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard import formatting
from dashboard.board import read_board
from dashboard.workplace import open_store
from tracking.runs import Run

RUNS_PAGE = "app_pages/runs.py"
NAME_WIDTH = 200


@dataclass(frozen=True)
class Column:
    """One column of a list of runs: its heading, its width in pixels and what it says of a run."""

    heading: str
    width: int
    text: Callable[[Run], str]


def progress_text(run: Run) -> str:
    """Say how far a run is: `epoch 2.4 / 5`."""
    if run.epoch is None or run.max_epochs is None:
        return "waiting for a free device" if run.status == "SCHEDULED" else "starting"
    return f"epoch {formatting.epochs(run.epoch, run.max_epochs)}"


def remaining_text(run: Run) -> str:
    """Say how long a run will still take."""
    return formatting.NOTHING if run.eta_s is None else f"{formatting.duration(run.eta_s)} left"


def status_text(run: Run) -> str:
    """Say how a run is, with word and icon."""
    if run.is_stopping:
        return ":orange-badge[:material/pending: Stopping]"
    return formatting.status_of(run.status).badge


def setting_text(run: Run) -> str:
    """Name the few settings that tell runs apart: `digits · quick · 64 px`."""
    size = f"{run.image_size} px" if run.image_size else ""
    return " · ".join(part for part in (run.source, run.recipe, size) if part)


STATUS = Column("Status", 100, status_text)
TOP1 = Column("Top-1 error", 84, lambda run: formatting.percent(run.metrics.get("val/error_top1")))
TOP5 = Column("Top-5 error", 84, lambda run: formatting.percent(run.metrics.get("val/error_top5")))
SETTINGS = Column("Trained on", 190, lambda run: f":gray[{setting_text(run)}]")
DURATION = Column("Took", 92, lambda run: formatting.duration(run.duration_s))
ENDED = Column("Ended", 84, lambda run: f":gray[{formatting.ago(run.ended_at)}]")
SPEED = Column("Speed", 104, lambda run: formatting.rate(run.images_per_s))
REMAINING = Column("Remaining", 112, remaining_text)

PROGRESS = Column("Progress", 140, progress_text)

ACTIVE_COLUMNS = (STATUS, TOP1, SPEED, PROGRESS, REMAINING)
QUEUED_COLUMNS = (STATUS, SETTINGS)
DONE_COLUMNS = (STATUS, TOP1, TOP5, SETTINGS, DURATION, ENDED)


def show_done(runs: Sequence[Run], page_size: int = 25) -> None:
    """List runs that have ended, some at first and more on demand."""
    shown = st.session_state.setdefault("runs_shown", page_size)
    with st.container(key="rows-done", gap=None):
        with st.container(key="row-head", horizontal=True, gap="small"):
            st.caption("Run", width=NAME_WIDTH)
            for column in DONE_COLUMNS:
                st.caption(column.heading, width=column.width)
        for run in runs[:shown]:
            show_row(run, DONE_COLUMNS)
    if len(runs) > shown and st.button(
        f"Show {min(page_size, len(runs) - shown)} more", icon=":material/expand_more:"
    ):
        st.session_state["runs_shown"] = shown + page_size
        st.rerun()


def show_row(run: Run, columns: Sequence[Column]) -> None:
    """Show one run on one line."""
    with st.container(key=f"row-{run.run_id}", horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(
            RUNS_PAGE, label=f":primary[{run.name}]", query_params={"run": run.run_id}, width=NAME_WIDTH
        )
        for column in columns:
            st.markdown(column.text(run), width=column.width)


def show_active(limit: int | None = None) -> bool:
    """List what is running and queued, with progress; say whether there is anything."""
    board = read_board(open_store())
    if not board.is_active:
        st.caption("Nothing is running or waiting.")
    with st.container(key="rows-active", gap=None):
        for run in board.active[:limit]:
            show_row(run, ACTIVE_COLUMNS if run.status == "RUNNING" else QUEUED_COLUMNS)
            if run.status == "RUNNING":
                st.progress(run.progress)
    if limit is not None and len(board.active) > limit:
        st.page_link(
            RUNS_PAGE, label=f"{len(board.active) - limit} more in the queue", icon=":material/more_horiz:"
        )
    return board.is_active


def show_empty() -> None:
    """Tell what to do where no run is."""
    with st.container(border=True):
        st.markdown(
            "There is no run yet. Choose networks and data, and each becomes a run that you can watch here."
        )
        st.page_link("app_pages/launch.py", label="Launch networks", icon=":material/rocket_launch:")
