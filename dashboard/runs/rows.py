"""Runs as rows: one line each, the name a link to the run's own address."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from dashboard.runs.board import Board, read_board
from dashboard.runs.queue_controls import show_queue_controls
from dashboard.widgets import formatting
from dashboard.workplace import open_store
from jobs.host.machine import describe_machine
from jobs.scheduling.forecast import Span
from jobs.scheduling.queue import FREE_DEVICE, priority_of
from tracking.entities import HOME
from tracking.groups import GROUP
from tracking.runs import Run

RUNS_PAGE = "app_pages/runs.py"
NAME_WIDTH = 184
# Rows of a list at first: a queue of 200, drawn again every two seconds, leaves a browser no time for clicks.
PAGE_SIZE = 25


@dataclass(frozen=True)
class Column:
    """One column of a list of runs: its width in pixels and what it says of a run.

    There are no headings: on a narrow screen a row becomes a few lines, so each text says what it is.
    """

    width: int
    text: Callable[[Run], str]


def progress_text(run: Run) -> str:
    """Describe how far a run is: `epoch 2.4 / 5`."""
    if run.epoch is None or run.max_epochs is None:
        return "starting"
    return f"epoch {formatting.epochs(run.epoch, run.max_epochs)}"


def remaining_text(run: Run) -> str:
    """Describe how long a run will still take."""
    return formatting.NOTHING if run.eta_s is None else f"{formatting.duration(run.eta_s)} left"


def span_text(span: Span) -> str:
    """Describe when a queued run will run: `in 12 min, for 3 min`; nothing where nothing was measured."""
    if span.start_s is None:
        return ""
    start = f"in {formatting.duration(span.start_s)}" if span.start_s else "next"
    return start if span.end_s is None else f"{start}, for {formatting.duration(span.end_s - span.start_s)}"


def waiting_text(reason: str, span: Span, priority: int = 0) -> str:
    """Describe what a queued run waits for, unless that is a device, and when it will run."""
    when = span_text(span)
    place = f"priority {priority}" if priority else ""
    return ", ".join(filter(None, (place, "" if when and reason == FREE_DEVICE else reason, when)))


def status_text(run: Run) -> str:
    """Describe how a run is, with word and icon."""
    if run.is_stopping:
        return ":orange-badge[:material/pending: Stopping]"
    return formatting.status_of(run.status).badge


def setting_text(run: Run) -> str:
    """Name the few settings that tell runs apart: `digits · quick · 64 px`."""
    size = f"{run.image_size} px" if run.image_size else ""
    return " · ".join(part for part in (run.source, run.recipe, size) if part)


def row_text(run: Run) -> str:
    """Name the settings of a run and what tells it from others of its group: `... · rate 0.01 · seed 3`."""
    rate, seed = (run.params.get(key, "") for key in ("model.learning_rate", "seed_everything"))
    told = [
        f"{name}\u00a0{value}"
        for name, value in (("rate", rate), ("seed", seed))
        if value and GROUP in run.tags
    ]
    return " · ".join([setting_text(run), *told])


def machine_text(run: Run) -> str:
    """Name the machine that looks after a run of a server: `on gpu3`; none does where others wrote it."""
    name = run.tags.get(HOME, "").partition(":")[0]
    return f"on {name}" if name else "machine unknown"


def labelled(word: str, value: str) -> str:
    """Write a value with its name before it."""
    return f":gray[{word}] {value}"


STATUS = Column(92, status_text)
TOP1 = Column(100, lambda run: labelled("top-1", formatting.percent(run.metrics.get("val/error_top1"))))
TOP5 = Column(96, lambda run: labelled("top-5", formatting.percent(run.metrics.get("val/error_top5"))))
SETTINGS = Column(176, lambda run: f":gray[{row_text(run)}]")
DURATION = Column(118, lambda run: labelled("took", formatting.duration(run.duration_s)))
ENDED = Column(90, lambda run: f":gray[{formatting.ago(run.ended_at)}]")
SPEED = Column(110, lambda run: formatting.rate(run.images_per_s))
PROGRESS = Column(112, progress_text)
MACHINE = Column(118, lambda run: f":gray[{formatting.plain(machine_text(run))}]")
REMAINING = Column(124, remaining_text)

ACTIVE_COLUMNS = (STATUS, PROGRESS, TOP1, TOP5, SPEED, REMAINING)
QUEUED_COLUMNS = (STATUS, SETTINGS)
OTHERS_COLUMNS = (STATUS, MACHINE, SETTINGS)
DONE_COLUMNS = (STATUS, TOP1, TOP5, SETTINGS, DURATION, ENDED)


def show_done(runs: Sequence[Run]) -> None:
    """List runs that have ended, some at first and more on demand."""
    show_rows(runs[: count_shown("runs_shown")], DONE_COLUMNS)
    show_more("runs_shown", len(runs))


def count_shown(key: str) -> int:
    """Return how many rows of a list are shown."""
    shown: int = st.session_state.setdefault(key, PAGE_SIZE)
    return shown


def show_more(key: str, count: int) -> None:
    """Offer more rows of a list, if it has more."""
    left = count - count_shown(key)
    if left > 0 and st.button(
        f"Show {min(PAGE_SIZE, left)} more", icon=":material/expand_more:", key=f"more-{key}"
    ):
        st.session_state[key] += PAGE_SIZE
        st.rerun()


def show_rows(runs: Sequence[Run], columns: Sequence[Column]) -> None:
    """Show runs under each other, one line each."""
    with st.container(key="rows-done", gap=None):
        for run in runs:
            show_row(run, columns)
            if run.error:
                st.caption(formatting.plain(run.error))


def show_row(run: Run, columns: Sequence[Column], show_more: Callable[[], None] | None = None) -> None:
    """Show one run on one line, and what else belongs on it."""
    with st.container(key=f"row-{run.run_id}", horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(
            RUNS_PAGE,
            label=f":primary[{formatting.plain(run.name)}]",
            query_params={"run": run.run_id},
            width=NAME_WIDTH,
        )
        for column in columns:
            st.markdown(column.text(run), width=column.width)
        if show_more:
            show_more()


def show_active(limit: int | None = None) -> Sequence[tuple[str, str]]:
    """List what is running and queued, with progress, and return its state."""
    board = read_board(open_store())
    if not board.active:
        st.caption(f"Nothing is running or waiting{' here' if board.others else ''}.")
    with st.container(key="rows-active", gap=None):
        for run in board.running[:limit]:
            show_row(run, ACTIVE_COLUMNS)
            st.progress(run.progress)
        spans = board.forecast(describe_machine()) if board.queued else {}
        shown = count_shown("queue_shown") if limit is None else max(0, limit - len(board.running))
        for run in board.queued[:shown]:
            _show_queued(run, board, spans[run.run_id], has_controls=limit is None)
    if limit is None:
        show_more("queue_shown", len(board.queued))
    if limit is not None and len(board.active) > limit:
        st.page_link(
            RUNS_PAGE, label=f"{len(board.active) - limit} more in the queue", icon=":material/more_horiz:"
        )
    if board.others and limit is not None:
        label = f"{formatting.plural(len(board.others), 'run')} on other machines"
        st.page_link(RUNS_PAGE, label=label, icon=":material/more_horiz:")
    return board.state


def show_others(board: Board) -> None:
    """List what other machines that use the same server run and keep waiting."""
    if not board.others:
        return
    st.caption("On other machines, which have their own queues:")
    with st.container(key="rows-others", gap=None):
        for run in board.others:
            show_row(run, (*OTHERS_COLUMNS, PROGRESS, TOP1) if run.status == "RUNNING" else OTHERS_COLUMNS)


def _show_queued(run: Run, board: Board, span: Span, *, has_controls: bool) -> None:
    waits = waiting_text(board.obstacle(run), span, priority_of(run))
    when = Column(236, lambda run: f":gray[{formatting.plain(waits)}]")
    controls = partial(
        show_queue_controls, run, is_first=run is board.queued[0], is_last=run is board.queued[-1]
    )
    show_row(run, (*QUEUED_COLUMNS, when), controls if has_controls else None)


def show_empty() -> None:
    """Return what to do where no run is."""
    with st.container(border=True):
        st.markdown(
            "There are no runs yet. Choose networks and data; each network becomes a run that you can watch "
            "here."
        )
        st.page_link("app_pages/launch.py", label="Launch networks", icon=":material/rocket_launch:")
