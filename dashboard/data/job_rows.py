"""Commands on data: what runs, how far it is, and how it ended."""

from collections.abc import Hashable, Sequence
from pathlib import PurePath

import streamlit as st

from dashboard.widgets import formatting
from dashboard.widgets.live import live
from dashboard.workplace import open_store
from jobs import data_jobs
from jobs.data_jobs import JobState

LOG_LINES = 12
SHOWN = 8


def show_jobs(words: Sequence[str] = (), empty: str = "No command has been started here yet.") -> None:
    """List the commands that were started here; what runs is shown anew by itself.

    Args:
        words: Only commands whose words after the first are these; all without.
        empty: What to say where there is none.
    """
    live(_show_jobs, _state(_find(words)), words, empty)


def _find(words: Sequence[str]) -> list[JobState]:
    found = data_jobs.list_jobs(open_store())
    return [one for one in found if one.job.words[1 : 1 + len(words)] == tuple(words)]


def _state(jobs: Sequence[JobState]) -> Hashable:
    active = (one for one in jobs if one.is_active)
    return tuple((one.job.key, one.is_stopping, one.can_be_killed) for one in active)


def _show_jobs(words: Sequence[str], empty: str) -> Hashable:
    found = _find(words)
    if not found and empty:
        st.caption(empty)
    for one in found[:SHOWN]:
        _show_job(one)
    return _state(found)


def _show_job(one: JobState) -> None:
    key = one.job.key
    with st.container(border=True, key=f"data-job-{key}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(_headline(one), width="stretch")
            _show_buttons(one)
        if one.is_active:
            _show_progress(one)
        elif one.message:
            st.markdown(formatting.plain(one.message))
        with st.expander("Command and log"):
            st.code(one.job.command, language="bash", wrap_lines=True)
            st.code(data_jobs.read_job_log(open_store(), one.job, LOG_LINES), language=None, wrap_lines=True)


def _headline(one: JobState) -> str:
    badge = formatting.status_of(one.status).badge
    if one.is_stopping:
        badge = ":orange-badge[:material/pending: Stopping]"
    when = f"started {formatting.ago(one.job.started_at)}"
    if one.ended_at is not None:
        took = formatting.duration(one.ended_at - one.job.started_at)
        when = f"{formatting.ago(one.ended_at)}, took {took}"
    return f"{badge} **{one.job.words[0]}** {formatting.plain(_subject(one.job.words))} :gray[{when}]"


def _subject(words: Sequence[str]) -> str:
    """Name what a command works on: its folder, or its source."""
    root = words[words.index("--root") + 1] if "--root" in words else words[1]
    return PurePath(root).name


def _show_progress(one: JobState) -> None:
    report = one.report
    share = report.done / report.total if report and report.total else 0.0
    st.progress(min(1.0, share), text=formatting.plain(report.text) if report else "Starting")


def _show_buttons(one: JobState) -> None:
    key, store = one.job.key, open_store()
    if one.can_be_killed:
        if st.button("Kill it", key=f"kill-{key}", icon=":material/dangerous:"):
            data_jobs.kill(one.job)
            st.rerun()
    elif one.is_active:
        if st.button("Stop", key=f"stop-{key}", icon=":material/stop_circle:", disabled=one.is_stopping):
            data_jobs.request_stop(store, one.job)
            st.rerun()
    else:
        with st.container(horizontal=True, width="content", gap="small"):
            again = "Start again" if one.status == "FINISHED" else "Go on"
            if st.button(again, key=f"again-{key}", icon=":material/replay:", type="tertiary"):
                data_jobs.start(store, one.job.words)
                st.rerun()
            if st.button("Remove", key=f"remove-{key}", icon=":material/delete:", type="tertiary"):
                data_jobs.delete(store, one.job)
                st.rerun()
