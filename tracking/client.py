"""MLflow's own client: all writing goes through it, and the reading of a database we do not know."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracking.entities import Point, Record
from tracking.imports import hidden
from tracking.layout import EXPERIMENT, Layout
from tracking.problems import StoreUnavailable, Unavailable
from tracking.unavailable import reported

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE_SIZE = 1000


def load_mlflow() -> Any:
    """Import MLflow, which takes seconds, so only writers come here.

    It would load some large packages to log tables as data sets, which nobody here does.
    """
    # Read once, when MLflow is imported: nothing goes to its makers, and it prints nothing.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Read with each request: MLflow would try for minutes, in which nobody learns that a server is away.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    with hidden("pandas", "pyarrow", "scipy"):
        import mlflow
        import mlflow.entities
        import mlflow.store.tracking.sqlalchemy_store
    return mlflow


def client(store: Layout) -> "MlflowClient":
    """MLflow's client for `store`."""
    mlflow = load_mlflow()
    with reported(store):
        if store.server and not store.server.startswith(("http://", "https://")):
            raise StoreUnavailable(Unavailable.BAD_ADDRESS, server=store.server)
        found: MlflowClient = mlflow.MlflowClient(store.uri)
        return found


def read_runs(
    store: Layout,
    statuses: Sequence[str] | None = None,
    run_id: str | None = None,
    params: Mapping[str, str] | None = None,
) -> list[Record]:
    """Return the same as `tracking.database.read_runs`, through MLflow."""
    query = "" if run_id is None else f"attributes.run_id = '{run_id}' AND "
    query += "".join(f"params.`{name}` = '{value}' AND " for name, value in (params or {}).items())
    # MLflow's filters know no list of statuses, and a server may hold many runs.
    queries = [f"{query}attributes.status = '{status}'" for status in statuses or ()]
    if statuses is None:
        queries = [query.removesuffix(" AND ")]
    mlflow = client(store)
    with reported(store):
        experiment = mlflow.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return []
        found: dict[str, Record] = {}  # one that changes between two questions is in both answers
        for query in queries:
            token = None
            while token != "":
                page = mlflow.search_runs(
                    [experiment.experiment_id], query, max_results=PAGE_SIZE, page_token=token
                )
                found |= {run.info.run_id: _record(run) for run in page}
                token = page.token or ""
        return list(found.values())


def read_points(store: Layout, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Point]]:
    """Return the same as `tracking.database.read_points`, through MLflow.

    MLflow does not tell in which order points were written. Training processes never write a time before an
    earlier one of their run, so that the times tell it.
    """
    mlflow = client(store)
    found: dict[tuple[str, str], list[Point]] = {}
    with reported(store):
        for pair in pairs:
            history = sorted(mlflow.get_metric_history(*pair), key=lambda point: point.timestamp)
            found[pair] = [(point.step, point.value, point.timestamp) for point in history]
    return found


def read_tags(store: Layout, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the same as `tracking.database.read_tags`, through MLflow."""
    mlflow = client(store)
    with reported(store):
        return {run_id: dict(mlflow.get_run(run_id).data.tags) for run_id in run_ids}


def read_keys(store: Layout, run_ids: Sequence[str]) -> set[str]:
    """Return the same as `tracking.database.read_keys`, through MLflow."""
    mlflow = client(store)
    with reported(store):
        return {key for run_id in run_ids for key in mlflow.get_run(run_id).data.metrics}


def fetch_config(store: Layout, run_id: str) -> None:
    """Copy the artifact `config.yaml` from where the server keeps it, if it is there."""
    folder = store.config_file(run_id).parent
    mlflow = client(store)
    with reported(store):
        if any(file.path == "config.yaml" for file in mlflow.list_artifacts(run_id)):
            folder.mkdir(parents=True, exist_ok=True)
            mlflow.download_artifacts(run_id, "config.yaml", str(folder))


def _record(run: Any) -> Record:
    info, data = run.info, run.data
    return Record(
        run_id=info.run_id,
        experiment_id=str(info.experiment_id),
        name=info.run_name or "",
        status=info.status,
        start_time=info.start_time,
        end_time=info.end_time,
        params=dict(data.params),
        tags=dict(data.tags),
        metrics={metric.key: (metric.step, metric.value, metric.timestamp) for metric in data._metric_objs},
    )
