"""From a filled form to queued jobs."""

import json
from collections.abc import Sequence

import streamlit as st
import yaml

from jobs.spec import JobSpec
from jobs.submit import check_config, submit
from jobs.supervisor import ensure_supervisor
from tracking.runs import Run, get_run
from tracking.store import Store


def launch(store: Store, spec: JobSpec) -> list[Run]:
    """Queue one job for each architecture, or none at all when one of them cannot work.

    Returns:
        The runs, in the order of the architectures.

    Raises:
        LaunchError: a configuration cannot work.
        StoreUnavailable: the store cannot be written.
    """
    configs = spec.configs()
    for config in configs:
        check_config(config)
    run_ids = [submit(store, config, check=False) for config in configs]
    ensure_supervisor(store)
    return [get_run(store, run_id) for run_id in run_ids]


def root_problem(source: str, root: str) -> str:
    """Say what is wrong with a folder of images, nothing when it can work."""
    if not root.strip():
        return "Name the folder that holds train/ and val/."
    return find_problem(json.dumps({"source": source, "root": root.strip()}))


@st.cache_data(ttl=20, max_entries=256, show_spinner=False)
def find_problem(config_json: str) -> str:
    """Check one configuration as the training process would; the sentence is empty when it can work."""
    try:
        check_config(json.loads(config_json))
    except Exception as problem:
        return str(problem)
    return ""


def first_problem(configs: Sequence[dict[str, object]]) -> str:
    """Say why the first of several configurations that cannot work does not, nothing when all can."""
    problems = (find_problem(json.dumps(config)) for config in configs)
    return next((problem for problem in problems if problem), "")


def to_yaml(configs: Sequence[dict[str, object]]) -> str:
    """Write configurations as the YAML files that `python -m training fit --config` reads."""
    return "\n---\n".join(yaml.safe_dump(config, sort_keys=False).rstrip() for config in configs)
