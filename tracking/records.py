"""Writing runs, always through MLflow's client: its own page and scripts see the same as ours."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

import yaml

from problems import InvalidValue
from tracking.client import client, load_mlflow
from tracking.entities import HOME, TERMINAL_STATUSES
from tracking.layout import EXPERIMENT, checked
from tracking.problems import Wrong
from tracking.store import Store
from tracking.unavailable import reported

MAX_POINTS = 1000  # MLflow takes no more at once


def create_run(
    store: Store,
    config: Mapping[str, Any],
    *,
    name: str | None = None,
    status: str = "SCHEDULED",
    tags: Mapping[str, str] | None = None,
) -> str:
    """Record a new run with its complete configuration and return its id.

    Args:
        store: An open store.
        config: The run's YAML as nested mappings; becomes the params (see `flatten`) and `config.yaml`.
        name: What people call it; made from architecture and data source by default.
        status: What it becomes once it is complete. MLflow shows RUNNING for the moments before.
        tags: Further tags.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    param = load_mlflow().entities.Param
    mlflow = client(store)
    with reported(store):
        experiment = mlflow.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            raise InvalidValue(Wrong.NOT_OPEN, root=store.root)
        submitted = {"job.submitted_at": str(now_ms()), **(tags or {})}
        if store.server:
            submitted[HOME] = store.home
        run = mlflow.create_run(experiment.experiment_id, tags=submitted, run_name=name or run_name(config))
        run_id: str = run.info.run_id
        mlflow.log_batch(run_id, params=[param(key, value) for key, value in flatten(config).items()])
        file = store.config_file(run_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
        if store.server:
            mlflow.log_artifact(run_id, str(file))
        # Last, because SCHEDULED is the sign that there is something complete to start.
        if status != "RUNNING":
            set_status(store, run_id, status)
    return run_id


def run_name(config: Mapping[str, Any]) -> str:
    """Return a short name such as `alexnet-digits-1a2b`."""
    parts = [config.get("model", {}).get("architecture"), config.get("data", {}).get("source"), token_hex(2)]
    return "-".join(str(part) for part in parts if part)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as params with dotted names; what is null or empty is left out, lists become JSON."""
    params: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            params |= flatten(value, f"{prefix}{key}.")
        elif value is not None:
            params[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list | bool) else str(value)
    return params


def set_status(store: Store, run_id: str, status: str, time_ms: int | None = None) -> None:
    """Set the status; a terminal one also sets the end time, now by default. Raises StoreUnavailable."""
    with reported(store):
        if status in TERMINAL_STATUSES:
            client(store).set_terminated(run_id, status, time_ms)
        else:
            client(store).update_run(run_id, status=status)


def set_tags(store: Store, run_id: str, tags: Mapping[str, object]) -> None:
    """Set all tags in one transaction. Raises StoreUnavailable."""
    tag = load_mlflow().entities.RunTag
    with reported(store):
        client(store).log_batch(run_id, tags=[tag(key, str(value)) for key, value in tags.items()])


def log_params(store: Store, run_id: str, params: Mapping[str, object]) -> None:
    """Add params in one transaction; a param once set cannot change. Raises StoreUnavailable."""
    param = load_mlflow().entities.Param
    with reported(store):
        client(store).log_batch(run_id, params=[param(key, str(value)) for key, value in params.items()])


def log_metrics(store: Store, run_id: str, metrics: Mapping[str, float], step: int) -> None:
    """Add one point to each metric, in one transaction; on return it is on disk. Raises StoreUnavailable."""
    now = now_ms()
    log_points(store, run_id, [(key, value, now, step) for key, value in metrics.items()])


def log_points(store: Store, run_id: str, points: Sequence[tuple[str, float, int, int]]) -> None:
    """Add points (metric, value, unix milliseconds, step); MLflow leaves out those it has.

    Raises:
        StoreUnavailable: The store cannot be written; of many points some may be there.
    """
    metric = load_mlflow().entities.Metric
    mlflow = client(store)
    with reported(store):
        for first in range(0, len(points), MAX_POINTS):
            batch = points[first : first + MAX_POINTS]
            mlflow.log_batch(run_id, [metric(key, float(value), ms, step) for key, value, ms, step in batch])


def now_ms() -> int:
    """Return the time as MLflow writes it, unix milliseconds."""
    return int(time.time() * 1000)


def count_bytes(store: Store, run_id: str) -> int:
    """Return what deleting a run frees: log and checkpoints. Raises ValueError when `run_id` is not one."""
    files = [store.log_file(run_id), *store.checkpoint_folder(run_id).rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def delete_run(store: Store, run_id: str) -> None:
    """Delete the run as MLflow does (`mlflow gc` removes it for good), and its log and checkpoints at once.

    Raises:
        StoreUnavailable: The store cannot be written.
    """
    checked(run_id)
    with reported(store):
        client(store).delete_run(run_id)
        store.log_file(run_id).unlink(missing_ok=True)
        for file in store.spool.glob(f"{run_id}.*"):
            file.unlink(missing_ok=True)
        shutil.rmtree(store.checkpoint_folder(run_id), ignore_errors=True)
