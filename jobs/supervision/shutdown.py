"""Ending everything that works on a store: jobs, supervisor, MLflow's page."""

import time
from collections.abc import Iterator

from jobs.data_jobs import stop_all
from jobs.errors import LaunchError
from jobs.host.mlflow_ui import stop_mlflow_ui
from jobs.submission import requests
from jobs.supervision.supervisor import ASK_GRACE_S, TERM_GRACE_S, ensure_supervisor, stop_supervisor
from tracking import runs
from tracking.entities import ACTIVE_STATUSES
from tracking.store import Store

# What a job takes to be killed and recorded once its grace is over.
MARGIN_S = 20.0


def shutdown(store: Store) -> Iterator[str]:
    """Ask every job to stop, wait for it, then end the rest; yields what happens, a sentence each.

    Raises:
        LaunchError: A job or the supervisor does not end.
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
        raise LaunchError(f"{len(active)} jobs did not stop: {', '.join(run.name for run in active)}.")
    if count := stop_all(store):
        yield f"Stopped {count} {'command' if count == 1 else 'commands'} on data."
    yield "Stopped the supervisor." if stop_supervisor(store) else "No supervisor was running."
    if stop_mlflow_ui(store):
        yield "Stopped MLflow's page."
