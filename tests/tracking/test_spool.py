"""What a training process records while its store is away arrives later, in order, once."""

import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.tracking.mlflow_server import Server
from tracking import client, records, runs
from tracking.layout import REPOSITORY
from tracking.problems import StoreUnavailable
from tracking.spool import Spool, deliver_left
from tracking.spool_file import SpoolFile
from tracking.store import Store

NOBODY = "http://127.0.0.1:9"  # where no server listens
CONFIG = {"model": {"architecture": "alexnet"}, "data": {"source": "digits"}}


def points(store: Store, run_id: str, key: str = "loss") -> list[tuple[int, float]]:
    """As MLflow has them, whatever else our own reading would put right."""
    return sorted((step, value) for step, value, _ in client.read_points(store, [(run_id, key)])[run_id, key])


def rename_table(store: Store, old: str, new: str) -> None:
    with closing(sqlite3.connect(store.database, timeout=30)) as connection:
        connection.execute(f"ALTER TABLE {old} RENAME TO {new}")


def waiting(store: Store) -> list[str]:
    return [path.name for path in store.spool.glob("*")]


def test_a_run_on_a_server_is_the_same_as_one_in_a_database(remote: Store) -> None:
    run_id = records.create_run(remote, CONFIG, name="one")
    spool = Spool(remote, run_id)
    for step in range(5):
        spool.log_metrics({"loss": step, "odd": math.inf if step == 2 else math.nan}, step)
    spool.log_params({"network.parameters": 7})
    spool.set_tags({"data.manifest": "abc"})
    spool.set_status("FINISHED")
    spool.close()
    run = runs.find_run(remote, "one")
    assert (run.status, run.parameters, run.tags["data.manifest"]) == ("FINISHED", 7, "abc")
    assert points(remote, run_id) == [(step, float(step)) for step in range(5)]
    assert waiting(remote) == []
    assert runs.is_ours(remote, run)
    elsewhere = Store(remote.root.with_name("elsewhere"), remote.server)
    assert not runs.is_ours(elsewhere, run)
    # The artifact is with the server: another machine has no copy of its own.
    assert runs.read_config(elsewhere, run_id) == runs.read_config(remote, run_id)


def test_a_server_that_is_away_stops_nothing(server: Server, remote: Store) -> None:
    run_id = records.create_run(remote, CONFIG)
    spool = Spool(remote, run_id)
    spool.log_metrics({"loss": 0.0}, 0)
    assert spool.flush(30)
    server.stop()
    began = time.monotonic()
    for step in range(1, 50):
        spool.log_metrics({"loss": float(step)}, step)
    spool.set_tags({"job.resumes": 1})
    assert time.monotonic() - began < 2, "a training step waited for the network"
    with pytest.raises(StoreUnavailable, match=r"tracking server http://127\.0\.0\.1:\d+ does not answer"):
        runs.list_runs(remote)
    server.start()
    assert spool.flush(60)
    spool.log_metrics({"loss": 50.0}, 50)
    spool.set_status("KILLED")
    spool.close()
    assert points(remote, run_id) == [(step, float(step)) for step in range(51)]
    assert runs.get_run(remote, run_id).status == "KILLED"


@pytest.mark.fault("training killed while its server is away", "what it recorded is delivered, once")
def test_what_a_killed_process_left_is_delivered_once(remote: Store) -> None:
    run_id = records.create_run(remote, CONFIG)
    code = f"""
import sys
from tracking.spool import Spool
from tracking.store import Store
spool = Spool(Store({str(remote.root)!r}, {NOBODY!r}), {run_id!r})
for step in range(200):
    spool.log_metrics({{"loss": step}}, step)
spool.set_status("FAILED")
print("written", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    deliver_left(remote)  # what a living process has is left alone: no attempt, no complaint
    process.kill()
    process.communicate()
    with pytest.raises(StoreUnavailable):
        deliver_left(Store(remote.root, NOBODY))
    (file,) = remote.spool.iterdir()
    shutil.copy(file, remote.root / "copy")
    deliver_left(remote)
    assert waiting(remote) == []
    shutil.copy(remote.root / "copy", file)  # a crash between a delivery and its note
    deliver_left(remote)
    assert points(remote, run_id) == [(step, float(step)) for step in range(200)]
    run = runs.get_run(remote, run_id)
    assert run.status == "FAILED" and run.ended_at is not None and run.ended_at < time.time()


def test_what_mlflow_refuses_does_not_stop_what_follows(remote: Store) -> None:
    run_id = records.create_run(remote, CONFIG)
    spool = Spool(remote, run_id)
    spool.log_params({"device": "one"})
    spool.log_params({"device": "two"})
    spool.log_metrics({"a name;with;no;right": 1.0}, 1)
    spool.log_metrics({"loss": 2.0}, 2)
    spool.close()
    assert points(remote, run_id) == [(2, 2.0)]
    assert waiting(remote) == [f"{run_id}.refused"]
    refused = (remote.spool / f"{run_id}.refused").read_text()
    assert "'two'" in refused and "no;right" in refused


@pytest.mark.fault("database that cannot be written for a while", "no metric is lost, training goes on")
def test_a_database_that_cannot_be_written_stops_nothing(closed_store: Store) -> None:
    store = closed_store.open()
    run_id = records.create_run(store, CONFIG)
    spool = Spool(store, run_id)
    spool.log_metrics({"loss": 0.0}, 0)
    assert not store.spool.exists(), "the fast path writes nothing else"
    # A lock would do the same after MLflow has waited for 20 seconds.
    rename_table(store, "metrics", "away")
    for step in range(1, 4):
        spool.log_metrics({"loss": float(step)}, step)
    assert waiting(store) == [f"{run_id}.jsonl"]
    rename_table(store, "away", "metrics")
    assert spool.flush(60)
    spool.log_metrics({"loss": 4.0}, 4)
    spool.close()
    assert points(store, run_id) == [(step, float(step)) for step in range(5)]
    assert waiting(store) == []


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "one"
    path.parent.mkdir()
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    file = SpoolFile.open(path, wait=True)
    assert file is not None
    assert SpoolFile.open(path, wait=False) is None
    file.append({"step": 3})
    entries, end = file.read()
    assert entries == [{"step": 1}, {"step": 2}, {"step": 3}]
    file.append({"step": 4})
    file.take(end)
    assert file.read()[0] == [{"step": 4}]
    file.close()
    assert path.exists()


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    code = """
import resource, sys
from contextlib import closing
from pathlib import Path
from tracking.spool import Spool
from tracking.problems import StoreUnavailable
from tracking.store import Store
spool = Spool(Store(Path(sys.argv[1]), sys.argv[2]), "0" * 32)
spool.log_metrics({"loss": 1.0}, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    spool.log_metrics({"loss": 2.0}, 2)
except StoreUnavailable as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path), NOBODY]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert str(tmp_path) in done.stdout and "Traceback" not in done.stderr, done
    assert (tmp_path / "spool" / f"{'0' * 32}.jsonl").read_text().count("\n") == 1


def test_an_address_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="ARENA_TRACKING_URI is 'nonsense'; it must begin with http"):
        Store(tmp_path, "nonsense").open()


@pytest.mark.fault("tracking server that takes connections and hangs", "no step waits, the end for 5 s")
def test_a_server_that_hangs_lets_the_end_wait_for_seconds_only(server: Server, remote: Store) -> None:
    run_id = records.create_run(remote, CONFIG)
    spool = Spool(remote, run_id)
    os.killpg(server.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    spool.set_status("FINISHED")
    spool.close()
    assert time.monotonic() - began < 8
    os.killpg(server.process.pid, signal.SIGCONT)
    deliver_left(remote)
    assert runs.get_run(remote, run_id).status == "FINISHED"
