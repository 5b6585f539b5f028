"""What Home says: how to start, what came out best, what ended last, what this machine has."""

from collections.abc import Sequence

import streamlit as st

from dashboard.launch.submission import launch_once
from dashboard.runs.rows import DONE_COLUMNS, RUNS_PAGE, setting_text, show_rows
from dashboard.widgets import formatting
from dashboard.workplace import open_store
from jobs.host.machine import Machine, describe_machine
from jobs.submission.spec import JobSpec
from tracking.comparison import Summary, best_per_architecture
from tracking.runs import Run

LAUNCH_PAGE = "app_pages/launch.py"
LATEST = 5
QUICK_ARENA = JobSpec(architectures=("alexnet", "vgg16", "googlenet", "resnet18"), source="digits")


def show_start(*, empty: bool) -> None:
    """Describe what this is and offer the one way to start."""
    if not empty:
        with st.container(key="start", horizontal=True, gap="small", vertical_alignment="center"):
            if st.button("Launch networks", type="primary", icon=":material/rocket_launch:"):
                st.switch_page(LAUNCH_PAGE)
            _show_quick_arena(primary=False)
        return
    with st.container(border=True, key="start", gap="medium"):
        st.markdown(
            "Train four networks that won or changed ImageNet on 1,797 real handwritten digits, on "
            "this machine. Launch them together, watch their errors fall, and compare them side by side."
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            _show_quick_arena(primary=True)
            st.page_link(LAUNCH_PAGE, label="Choose networks and data yourself", icon=":material/tune:")


def show_best() -> None:
    """List the best result of every architecture that has one, for each source of images."""
    best = best_per_architecture(open_store())
    if not best:
        st.caption("The best top-1 error of each network appears here after its first epoch.")
    with st.container(key="rows-best", gap=None):
        for one in best:
            _show_best_of(one)


def show_latest(runs: Sequence[Run]) -> None:
    """List what ended last.

    Args:
        runs: those that have ended, newest first.
    """
    if not runs:
        st.caption("Runs that have finished, failed or been stopped appear here.")
        return
    show_rows(runs[:LATEST], DONE_COLUMNS)
    if len(runs) > LATEST:
        st.page_link(RUNS_PAGE, label=f"All {len(runs)} runs", icon=":material/list_alt:")


def show_machine() -> None:
    """Describe what there is to train on."""
    with st.container(key="machine", horizontal=True, gap="medium"):
        for icon, text in machine_lines(describe_machine()):
            st.markdown(f":material/{icon}: {text}", width="content")


def _show_best_of(one: Summary) -> None:
    run = one.run
    with st.container(
        key=f"row-best-{run.run_id}", horizontal=True, vertical_alignment="center", gap="small"
    ):
        st.markdown(f"**{run.architecture}**", width=120)
        st.markdown(formatting.percent(one.best), width=80)
        st.markdown(f":gray[{setting_text(run)}]", width=220)
        st.page_link(
            RUNS_PAGE,
            label=f":primary[{formatting.plain(run.name)}]",
            query_params={"run": run.run_id},
            width=220,
        )


def machine_lines(machine: Machine) -> list[tuple[str, str]]:
    """Describe a machine in a few lines, each with its icon."""
    lines = [
        ("memory", f"{machine.cpu}, {formatting.plural(machine.cores, 'core')}"),
        ("storage", f"{formatting.size(machine.memory_bytes)} of memory"),
    ]
    lines += [
        ("developer_board", gpu.name + (f", {formatting.size(gpu.memory_bytes)}" if gpu.memory_bytes else ""))
        for gpu in machine.gpus
    ]
    if machine.problem:
        lines.append(("warning", machine.problem))
    if not machine.gpus:
        kind = (
            "Apple's GPU through MPS"
            if machine.accelerator == "mps"
            else "no GPU: networks train on the processor"
        )
        lines.append(("developer_board", kind))
    jobs = f"{formatting.plural(machine.num_devices, 'job')} at a time"
    beside = ", and one on the processor if it requests that" if machine.accelerator != "cpu" else ""
    return [*lines, ("stacks", f"{jobs}{beside}; other jobs wait in the queue")]


def _show_quick_arena(*, primary: bool) -> None:
    wanted = st.button(
        "Launch the quick arena",
        type="primary" if primary else "secondary",
        icon=":material/rocket_launch:" if primary else ":material/bolt:",
        help="AlexNet, VGG-16, GoogLeNet and ResNet-18 on the digits, one after another",
    )
    if wanted:
        with st.spinner("Checking the four networks and putting them in the queue …"):
            launch_once(open_store(), QUICK_ARENA)
        st.rerun()
