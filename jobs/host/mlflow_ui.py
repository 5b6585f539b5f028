"""The MLflow UI of a store, started on first use."""

import socket
import sys
import time
import urllib.error
import urllib.request

from filelock import FileLock

from jobs.host.processes import Background, kill_session, start_detached
from jobs.problems import Launch, LaunchError
from tracking.layout import REPOSITORY
from tracking.runs import Run
from tracking.store import Store

HOST = "127.0.0.1"
START_TIMEOUT_S = 90.0


def ensure_mlflow_ui(store: Store) -> str:
    """Return the address of the store's MLflow UI; start it if it is not running.

    Raises:
        LaunchError: It does not start.
        StoreUnavailable: The store cannot be used.
    """
    if store.server:
        return store.server
    store.open()
    with FileLock(store.root / "mlflow_ui.lock"):
        if found := find_mlflow_ui(store):
            return found
        background = _start(store)
        background.write(store.root / "mlflow_ui.json")
        return _base_url(background)


def find_mlflow_ui(store: Store) -> str | None:
    """Return the address of the store's MLflow UI, None if it is not running."""
    if store.server:
        return store.server
    background = Background.read(store.root / "mlflow_ui.json")
    return _base_url(background) if background else None


def stop_mlflow_ui(store: Store) -> bool:
    """Stop the MLflow UI and return whether it was running."""
    background = Background.read(store.root / "mlflow_ui.json")
    if background is None:
        return False
    kill_session(background.pid, background.create_time)
    return True


def run_url(base_url: str, run: Run) -> str:
    """Return the address of a run in the MLflow UI."""
    return f"{base_url}/#/experiments/{run.experiment_id}/runs/{run.run_id}"


def _start(store: Store) -> Background:
    port = _free_port()
    log_file = store.logs / "mlflow_ui.log"
    child = start_detached(_command(store, port), log_file, cwd=REPOSITORY, environment=ENVIRONMENT)
    background = Background.of(child.pid, port)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and child.returncode is None:
        if _answers(background):
            return background
        time.sleep(0.1)
    kill_session(background.pid, background.create_time)
    raise LaunchError(Launch.MLFLOW_UI, log=log_file)


# MLflow's own job queue would start eight processes that are not needed. No telemetry is sent.
ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def _command(store: Store, port: int) -> list[str]:
    hosts = f"{HOST}:{port},localhost:{port}"
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", store.uri),
        *("--default-artifact-root", str(store.artifacts)),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        "--no-serve-artifacts",
        # By default, MLflow also trusts every address of a private network.
        *("--allowed-hosts", hosts),
        *("--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts.split(","))),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(background: Background) -> bool:
    try:
        with urllib.request.urlopen(f"{_base_url(background)}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _base_url(background: Background) -> str:
    return f"http://{HOST}:{background.port}"
