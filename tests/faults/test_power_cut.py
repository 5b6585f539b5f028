"""Everything real: the dashboard as `make run` starts it, its supervisor, training, and what loads images."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

from jobs.submission.requests import request_stop
from jobs.submission.spec import JobSpec
from jobs.submission.submit import submit
from jobs.supervision.supervisor import find_supervisor
from tests.jobs.conftest import wait_for
from tracking import runs
from tracking.layout import REPOSITORY
from tracking.store import Store

PATIENCE_S = 120


def family(store: Store) -> list[psutil.Process]:
    """All processes that work on a store."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("ARENA_MLRUNS") == str(store.root):
                found.append(process)
        except psutil.Error:
            continue
    return [one for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def make_run(store: Store) -> "subprocess.Popen[bytes]":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dashboard = subprocess.Popen(
        [sys.executable, "-m", "dashboard", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    wait_for(lambda: find_supervisor(store), PATIENCE_S)
    return dashboard


@pytest.mark.fault("kill -9 of the dashboard", "supervisor and training continue")
@pytest.mark.fault("power cut: all killed at once, `make run`", "the same run continues from its checkpoint")
def test_all_of_them_at_once(store: Store, observed: Callable[[str], None]) -> None:
    (config,) = JobSpec(
        ("cifar_resnet20",), epochs=1000, batch_size=16, image_size=32, num_workers=2
    ).configs()
    run_id = submit(store, config | {"checkpoint_interval_s": 0.5})
    dashboard = make_run(store)
    last = store.checkpoint_folder(run_id) / "last.ckpt"
    wait_for(last.exists, PATIENCE_S)
    dashboard.kill()
    dashboard.wait()
    saved_at = last.stat().st_mtime_ns
    wait_for(lambda: last.stat().st_mtime_ns > saved_at, PATIENCE_S)

    killed = family(store)
    assert len(killed) >= 3, "supervisor, training, what reads images"
    for process in killed:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(killed)
    assert runs.get_run(store, run_id).status == "RUNNING" and find_supervisor(store) is None

    dashboard = make_run(store)
    wait_for(lambda: runs.get_run(store, run_id).tags.get("job.resumes") == "1", PATIENCE_S)
    step = int(runs.get_run(store, run_id).tags["job.resumed_step"])
    wait_for(lambda: runs.get_run(store, run_id).step > step, PATIENCE_S)
    (run,) = runs.list_runs(store)
    assert run.status == "RUNNING" and step > 0
    request_stop(store, run_id)
    wait_for(lambda: runs.get_run(store, run_id).status == "KILLED", PATIENCE_S)
    dashboard.kill()
    dashboard.wait()
    observed(f"{len(killed)} processes killed; one run, went on after step {step}; stopped on request")
