"""Beside the launch form: its summary, as YAML and as a command, and the button."""

import streamlit as st

from dashboard.launch import preflight, submission
from dashboard.launch.form import Form
from dashboard.launch.memory_estimate import show_memory
from dashboard.launch.wording import plan
from dashboard.runs.rows import RUNS_PAGE
from dashboard.widgets import formatting
from dashboard.widgets.address import visit
from dashboard.widgets.shell import show_command
from dashboard.workplace import open_store
from tracking.runs import Run

LAUNCHED = "launched"


def show_order(form: Form) -> None:
    """Show a summary of the form, and launch it.

    Raises:
        LaunchError: what was launched cannot work.
        StoreUnavailable: the store cannot be written.
    """
    count = form.spec.num_jobs
    answers = preflight.answer(form) if form.is_complete else []
    is_doubtful = any(answer.verdict is False for answer in answers)
    label = f"Launch {formatting.plural(count, 'job')}" if count else "Launch"
    wanted = st.button(
        f"{label} anyway" if is_doubtful else label,
        type="primary",
        icon=":material/rocket_launch:",
        disabled=not form.is_complete,
        width="stretch",
        key="launch",
    )
    if not form.is_complete:
        st.caption("First correct what is marked in red.")
        return
    if wanted:
        with st.spinner("Checking and queueing …"):
            visit()[LAUNCHED] = submission.launch_once(
                open_store(), form.spec, preflight.expected_s(form.spec.configs())
            )
        # Once more from the top: the line on what is running was drawn before.
        st.rerun()
    _show_launched(visit().get(LAUNCHED, []))
    preflight.show_answers(form, answers)
    configs = form.spec.configs()
    st.markdown("\n".join(f"- {line}" for line in plan(form.spec)))
    # How much memory a cluster's machines have is not known here.
    tabs = st.tabs(["Command", "YAML", *(["Memory"] if form.spec.cluster is None else [])])
    with tabs[0]:
        show_command(form.spec.command() + (" --anyway" if is_doubtful else ""))
    with tabs[1]:
        st.code(submission.to_yaml(configs), language="yaml", height=380)
    for memory in tabs[2:]:
        with memory:
            show_memory(form.spec.change(num_seeds=1, learning_rate=()), form.num_classes)


def _show_launched(runs: list[Run]) -> None:
    if not runs:
        return
    with st.container(border=True, gap=None, key="launched"):
        st.markdown(f":green[:material/check_circle: **{formatting.plural(len(runs), 'job')} in the queue**]")
        for run in runs:
            st.page_link(
                RUNS_PAGE,
                label=formatting.plain(run.name),
                icon=":material/monitoring:",
                query_params={"run": run.run_id},
            )
