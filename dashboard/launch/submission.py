"""From a filled form to queued jobs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
import yaml

from dashboard.networks import catalogue
from jobs.preflight.allowed_paths import check_files
from jobs.submission.spec import JobSpec
from jobs.submission.submit import check_config, submit_group
from jobs.supervision.supervisor import ensure_supervisor
from tracking.runs import Run, get_run
from tracking.store import Store

LAST = "last_launch"
DOUBLE_CLICK_S = 2.0


@dataclass(frozen=True)
class Found:
    """What a data source holds, or one sentence why it cannot be used.

    Attributes:
        problem: With the source.
        classes_problem: With the choice of classes.
        train_images: Of the chosen classes.
        val_images: The same.
        classes: How many are chosen.
        all_classes: How many the source has.
    """

    problem: str = ""
    classes_problem: str = ""
    train_images: int = 0
    val_images: int = 0
    classes: int = 0
    all_classes: int = 0

    @property
    def text(self) -> str:
        """The counts in one line."""
        amounts = f"{self.train_images:,} training images, {self.val_images:,} to validate"
        of = f" of {self.all_classes:,}" if self.classes != self.all_classes else ""
        return f"{amounts}, {self.classes:,}{of} classes"


def launch(store: Store, spec: JobSpec, expected_s: Sequence[float | None] = ()) -> list[Run]:
    """Queue the jobs of an order as one group, or none at all when one of them cannot work.

    Returns:
        The runs, in the order of the configurations.

    Raises:
        LaunchError: a configuration cannot work.
        StoreUnavailable: the store cannot be written.
    """
    configs = spec.configs()
    for config in spec.configurations():
        check_config(config)
    run_ids = submit_group(store, configs, expected_s=expected_s)
    ensure_supervisor(store)
    return [get_run(store, run_id) for run_id in run_ids]


def launch_once(store: Store, spec: JobSpec, expected_s: Sequence[float | None] = ()) -> list[Run]:
    """Launch as `launch` does; the second click of a double click launches nothing more.

    Raises:
        LaunchError: a configuration cannot work.
        StoreUnavailable: the store cannot be written.
    """
    ordered, ended_at, runs = st.session_state.get(LAST, (None, 0.0, []))
    if ordered != spec or time.monotonic() - ended_at > DOUBLE_CLICK_S:
        runs = launch(store, spec, expected_s)
        st.session_state[LAST] = (spec, time.monotonic(), runs)
    return list(runs)


@st.cache_data(ttl=30, max_entries=32, show_spinner="Listing the images …")
def look_at_images(source: str, root: str, classes: str = "") -> Found:
    """Open a data source as the training process would and count what it holds."""
    from datamodules.problems import DataError
    from datamodules.subset import choose_classes, parse_classes

    try:
        check_files({"data": {"root": root.strip()}})
        images = catalogue.sources()[source].images(root.strip() or None)
    except (DataError, OSError, ValueError) as problem:
        return Found(str(problem))
    all_classes = len(images.class_names)
    try:
        images = choose_classes(images, parse_classes(classes))
    except (DataError, ValueError) as problem:
        return Found(classes_problem=str(problem), all_classes=all_classes)
    return Found("", "", len(images.train), len(images.val), len(images.class_names), all_classes)


def to_yaml(configs: Sequence[dict[str, object]]) -> str:
    """Write configurations as the YAML files that `python -m training fit --config` reads."""
    return "\n---\n".join(yaml.safe_dump(config, sort_keys=False).rstrip() for config in configs)
