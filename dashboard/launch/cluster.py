"""Where a job of the launch form trains: on this machine or, where there is one, on a Slurm cluster."""

import shutil
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.widgets import widths
from dashboard.widgets.address import Field, between, one_of
from dashboard.widgets.problems import show_problem
from jobs.engines.slurm_options import SlurmOptions, parse_extra, write_extra

HERE, SLURM = "here", "slurm"
PLACES: Mapping[str, str] = {HERE: "This machine", SLURM: "Slurm cluster"}
LIMITS: Mapping[str, tuple[int, int]] = {"nodes": (1, 4096), "gpus_per_node": (0, 64)}


def cluster_fields() -> dict[str, Field]:
    """Name the fields with their defaults; an empty one leaves the choice to the cluster."""
    numbers = {name: Field(limits[0], between(*limits)) for name, limits in LIMITS.items()}
    words = {name: Field("") for name in ("partition", "time", "account", "sbatch")}
    return {"where": Field(HERE, one_of(PLACES)), **numbers, **words}


def show_place() -> SlurmOptions | str | None:
    """Ask where to train.

    Returns:
        What to ask of the cluster, one sentence why that cannot be, or None for this machine. Without Slurm
        here, and without a choice of it in the address, nobody is asked.
    """
    if st.session_state["where"] == HERE and shutil.which("sbatch") is None:
        return None
    where = st.segmented_control(
        "Train on", list(PLACES), required=True, format_func=lambda key: PLACES[key], key="where"
    )
    if where != SLURM:
        return None
    options = _show_options()
    if isinstance(options, str):
        show_problem(options)
    return options


def _show_options() -> SlurmOptions | str:
    with st.container(horizontal=True, gap="medium"):
        nodes = st.number_input("Nodes", *LIMITS["nodes"], width=widths.NUMBER, key="nodes")
        gpus = st.number_input(
            "GPUs a node",
            *LIMITS["gpus_per_node"],
            width=widths.NUMBER,
            key="gpus_per_node",
            help="One process for each; with 0, as many processes on each node as are chosen below",
        )
    hint = "the cluster's own"
    with st.container(horizontal=True, gap="medium"):
        partition = st.text_input("Partition", placeholder=hint, width=widths.NUMBER, key="partition")
        account = st.text_input("Account", placeholder=hint, width=widths.NUMBER, key="account")
    time = st.text_input(
        "Time limit",
        placeholder=hint,
        width=widths.NUMBER,
        key="time",
        help="Minutes, HH:MM:SS or DAYS-HH:MM:SS, such as 1-12:00:00",
    )
    extra = st.text_input(
        "Further options of sbatch",
        placeholder="constraint=a100 mem=64G",
        width=widths.WORDS,
        key="sbatch",
        help="Long names, as NAME=VALUE",
    )
    words = {"partition": partition, "time": time, "account": account}
    given = {name: word.strip() for name, word in words.items() if word.strip()}
    try:
        options = SlurmOptions(int(nodes), int(gpus), extra=parse_extra(extra), **given)
        options.check()
    except ValueError as problem:
        return str(problem)
    return options


def count_processes(options: SlurmOptions, devices: int | str) -> int | str:
    """Count the processes of a job over all nodes; without GPUs, each node has one for each device."""
    of_node = options.gpus_per_node or devices
    return of_node * options.nodes if isinstance(of_node, int) else of_node


def clone_cluster(config: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a run's configuration into the values of these fields."""
    section = config.get("slurm")
    if section is None:
        return {}
    words = {name: section.get(name) for name in ("gpus_per_node", "partition", "time", "account")}
    extra = write_extra(section.get("extra") or {}) or None
    return {"where": SLURM, "nodes": config["trainer"].get("num_nodes"), **words, "sbatch": extra}
