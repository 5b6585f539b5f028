"""Stopping everything that works on a store: jobs, commands on data, the supervisor, the MLflow UI."""

import time
from collections.abc import Iterator

from jobs.data_jobs import stop_all
from jobs.host.mlflow_ui import stop_mlflow_ui
from jobs.problems import Launch, LaunchError
from jobs.submission import requests
from jobs.supervision.supervisor import ASK_GRACE_S, TERM_GRACE_S, ensure_supervisor, stop_supervisor
from tracking import runs
from tracking.entities import ACTIVE_STATUSES
from tracking.store import Store

# The time to kill a job and record its end after its grace period.
MARGIN_S = 20.0


def shutdown(store: Store) -> Iterator[str]:
    """Ask every job to stop, wait for it, then stop the rest; yield one sentence for each step.

    Raises:
        LaunchError: A job or the supervisor does not stop.
        StoreUnavailable: The store cannot be used.
    """
    active = runs.list_ours(store, ACTIVE_STATUSES) if store.server or store.database.exists() else []
    if active:
        ensure_supervisor(store)
        yield f"Asking {len(active)} {'job' if len(active) == 1 else 'jobs'} to stop ..."
        for run in active:
            requests.request_stop(store, run.run_id)
    deadline = time.monotonic() + ASK_GRACE_S + TERM_GRACE_S + MARGIN_S
    while active and time.monotonic() < deadline:
        time.sleep(0.5)
        active = runs.list_ours(store, ACTIVE_STATUSES)
    if active:
        raise LaunchError(Launch.JOBS_STAY, number=len(active), names=", ".join(run.name for run in active))
    if count := stop_all(store):
        yield f"Stopped {count} {'command' if count == 1 else 'commands'} on data."
    yield "Stopped the supervisor." if stop_supervisor(store) else "No supervisor was running."
    if stop_mlflow_ui(store):
        yield "Stopped the MLflow UI."
