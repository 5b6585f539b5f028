"""The supervisor and the MLflow UI as background processes."""

import os
import subprocess
import sys
import urllib.error
import urllib.request

import psutil
import pytest

from jobs.host import mlflow_ui
from jobs.host.processes import Background
from jobs.problems import Launch, LaunchError
from jobs.supervision.supervisor import ensure_supervisor, find_supervisor, state_file, stop_supervisor
from tests.jobs.conftest import wait_for
from tests.refusals import refused
from tracking import records, runs
from tracking.layout import REPOSITORY


@pytest.mark.fault("two supervisors on one store", "the second exits with one sentence")
def test_ensure_starts_one_supervisor_and_keeps_it(store):
    one = ensure_supervisor(store)
    assert os.getsid(one.pid) == one.pid
    assert ensure_supervisor(store) == one
    command = [sys.executable, "-m", "jobs", "supervise"]
    second = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    problem = LaunchError(Launch.SUPERVISOR_RUNS, root=store.root)
    assert (second.returncode, second.stderr) == (2, f"{problem}\n")
    assert stop_supervisor(store) and find_supervisor(store) is None
    assert not stop_supervisor(store)


def test_a_supervisor_that_cannot_start_names_its_log(store):
    (store.root / "supervisor.json").mkdir()
    with refused(Launch.SUPERVISOR, log=store.logs / "supervisor.log"):
        ensure_supervisor(store)


def test_a_supervisor_exits_when_its_store_is_deleted(store):
    supervisor = ensure_supervisor(store)
    state_file(store).unlink()
    wait_for(lambda: not psutil.pid_exists(supervisor.pid))


def test_a_state_file_of_another_process_is_ignored(tmp_path):
    me = Background.of(os.getpid())
    file = tmp_path / "state.json"
    me.write(file)
    assert Background.read(file) == me
    Background(me.pid, me.create_time - 100).write(file)
    assert Background.read(file) is None
    for text in ("", "{", "[]", '{"pid": "x"}'):
        file.write_text(text)
        assert Background.read(file) is None


def get(url, host=None):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def test_the_mlflow_ui_is_two_processes_on_loopback(store):
    run_id = records.create_run(store, {"model": {"architecture": "alexnet"}})
    base_url = mlflow_ui.ensure_mlflow_ui(store)
    assert mlflow_ui.ensure_mlflow_ui(store) == mlflow_ui.find_mlflow_ui(store) == base_url
    background = Background.read(store.root / "mlflow_ui.json")
    process = psutil.Process(background.pid)
    family = [process, *process.children(recursive=True)]
    assert len(family) == 2
    listening = [c.laddr for member in family for c in member.net_connections() if c.status == "LISTEN"]
    assert {address.ip for address in listening} == {"127.0.0.1"}

    page = mlflow_ui.run_url(base_url, runs.get_run(store, run_id))
    assert page.startswith(f"{base_url}/#/experiments/") and page.endswith(run_id)
    assert "<html" in get(page).lower()
    assert "alexnet" in get(f"{base_url}/get-artifact?run_uuid={run_id}&path=config.yaml")
    assert "<html" in get(base_url, f"localhost:{background.port}").lower()
    for stranger in ("example.org", "192.168.0.1", f"example.org:{background.port}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(base_url, stranger)
        refused.value.close()
        assert refused.value.code == 403

    assert mlflow_ui.stop_mlflow_ui(store) and not mlflow_ui.stop_mlflow_ui(store)
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
