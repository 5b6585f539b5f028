"""What one can do with a run: stop, resume, clone, delete, open in MLflow."""

import streamlit as st

from dashboard.runs.board import forget_runs
from dashboard.runs.queue_controls import show_turn
from dashboard.widgets.formatting import plain, size
from dashboard.workplace import open_store
from jobs.host.mlflow_ui import ensure_mlflow_ui, find_mlflow_ui, run_url
from jobs.submission.requests import can_resume, delete_run, request_stop, resume
from jobs.submission.retry import batch_to_try, retry
from jobs.supervision.supervisor import ensure_supervisor
from tracking.records import count_bytes
from tracking.runs import Run

LAUNCH_PAGE = "app_pages/launch.py"


def show_actions(run: Run) -> None:
    """Show the buttons that fit the run's status."""
    with st.container(horizontal=True, width="content", gap="small", vertical_alignment="center"):
        if run.is_active:
            _show_stop(run)
        elif can_resume(open_store(), run):
            _show_resume(run)
        if batch_size := batch_to_try(run):
            _show_retry(run, batch_size)
        if run.status == "SCHEDULED" and not run.is_stopping:
            show_turn(run)
        if st.button(
            "Clone", icon=":material/content_copy:", help="Fill in the Launch form with these settings"
        ):
            st.switch_page(LAUNCH_PAGE, query_params={"clone": run.run_id})
        _show_mlflow(run)
        if run.is_terminal:
            _show_delete(run)


def _show_stop(run: Run) -> None:
    label = "Stopping …" if run.is_stopping else "Stop"
    wanted = st.button(
        label,
        icon=":material/stop_circle:",
        disabled=run.is_stopping,
        help="The run saves a checkpoint and ends; its results are kept.",
    )
    if wanted:
        request_stop(open_store(), run.run_id)
        st.rerun()


def _show_resume(run: Run) -> None:
    if st.button("Resume", icon=":material/resume:", help="Continue this run from its newest checkpoint"):
        resume(open_store(), run.run_id)
        ensure_supervisor(open_store())
        st.rerun()


def _show_retry(run: Run, batch_size: int) -> None:
    if st.button(
        "Retry with a smaller batch",
        icon=":material/compress:",
        help=f"A new run with batches of {batch_size}, accumulated to steps as large as before",
    ):
        run_id = retry(open_store(), run.run_id, batch_size)
        ensure_supervisor(open_store())
        st.query_params["run"] = run_id
        st.rerun()


def _show_delete(run: Run) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        freed = size(count_bytes(open_store(), run.run_id))
        st.markdown(
            f"Delete **{plain(run.name)}** with its log and checkpoints? "
            f"That frees {freed} and cannot be undone."
        )
        if st.button("Delete this run", type="primary", icon=":material/delete_forever:"):
            delete_run(open_store(), run.run_id)
            forget_runs(open_store())
            st.query_params.clear()
            st.rerun()


def _show_mlflow(run: Run) -> None:
    base_url = find_mlflow_ui(open_store())
    if base_url is not None:
        st.link_button("Open in MLflow", run_url(base_url, run), icon=":material/open_in_new:")
    elif st.button("Start the MLflow UI", icon=":material/monitoring:", help="These runs in MLflow's own UI"):
        with st.spinner("Starting the MLflow UI …"):
            ensure_mlflow_ui(open_store())
        st.rerun()
