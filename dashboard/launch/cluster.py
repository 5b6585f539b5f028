"""Where a job of the launch form trains: on this machine or, where there is one, on a Slurm cluster."""

import shutil

import streamlit as st

from dashboard.launch.fields import HERE, NUMBER_WIDTH, PLACES, SLURM, Filled
from jobs.submission.spec import JobSpec


def show_place(filled: Filled) -> None:
    """Ask where to train and, of a cluster, what to ask of it.

    Without Slurm here, and without a choice of it in the address, nobody is asked.
    """
    filled.values["slurm"] = False
    if st.session_state["where"] == HERE and shutil.which("sbatch") is None:
        return
    where = st.segmented_control(
        "Train on", list(PLACES), required=True, format_func=lambda key: PLACES[key], key="where"
    )
    if where != SLURM:
        return
    filled.values["slurm"] = True
    for names in (("nodes", "gpus_per_node"), ("partition", "account"), ("time",)):
        with st.container(horizontal=True, gap="medium"):
            for name in names:
                filled.show(name, width=NUMBER_WIDTH)
    filled.show("sbatch")
    cluster = JobSpec((), values=filled.values).cluster
    assert cluster is not None
    try:
        cluster.check()
    except ValueError as problem:
        filled.complain(str(problem))


def count_processes(spec: JobSpec) -> int | str:
    """Count the processes of a job over all nodes; without GPUs, each node has one for each device."""
    of_node = spec.gpus_per_node or spec.devices
    return of_node * int(spec.nodes) if isinstance(of_node, int) else str(of_node)
