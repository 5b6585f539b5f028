"""From a filled form to queued jobs."""

import json
from collections.abc import Sequence

import streamlit as st
import yaml
from jobs.spec import JobSpec
from jobs.submit import check_config, submit
from jobs.supervisor import ensure_supervisor
from tracking.store import Store


def launch(store: Store, spec: JobSpec) -> list[str]:
    """Queue one job for each architecture, or none at all when one of them cannot work.

    Returns:
        The run ids, in the order of the architectures.

    Raises:
        LaunchError: a configuration cannot work.
        StoreUnavailable: the store cannot be written.
    """
    configs = spec.configs()
    for config in configs:
        check_config(config)
    run_ids = [submit(store, config, check=False) for config in configs]
    ensure_supervisor(store)
    return run_ids


@st.cache_data(ttl=20, max_entries=256, show_spinner=False)
def find_problem(config_json: str) -> str:
    """Check one configuration as the training process would; the sentence is empty when it can work."""
    try:
        check_config(json.loads(config_json))
    except Exception as problem:
        return str(problem)
    return ""


def to_yaml(configs: Sequence[dict[str, object]]) -> str:
    """Write configurations as the YAML files that `python -m training fit --config` reads."""
    return "\n---\n".join(yaml.safe_dump(config, sort_keys=False).rstrip() for config in configs)
