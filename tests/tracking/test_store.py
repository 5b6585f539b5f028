import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.refusals import refused
from tracking import client, records, runs
from tracking.layout import REPOSITORY
from tracking.problems import Unavailable
from tracking.store import Store


def test_default_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ARENA_MLRUNS", str(tmp_path / "elsewhere"))
    assert Store.default().root == tmp_path / "elsewhere"
    monkeypatch.delenv("ARENA_MLRUNS")
    assert Store.default().root == REPOSITORY / "mlruns"


def test_open_makes_everything_and_switches_to_wal(store):
    assert store.artifacts.is_dir() and store.logs.is_dir() and store.checkpoints.is_dir()
    with sqlite3.connect(store.database) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert runs.list_runs(store) == []


def test_artifacts_go_below_the_root_wherever_the_process_works(tmp_path, config):
    store = Store(tmp_path / "with space" / "mlruns").open()
    run_id = records.create_run(store, config)
    assert store.config_file(run_id).is_file()
    location = sqlite3.connect(store.database)
    recorded = location.execute("SELECT artifact_uri FROM runs").fetchone()[0]
    location.close()
    assert Path(recorded) / "config.yaml" == store.config_file(run_id)


def test_a_store_can_be_moved(store, config, tmp_path):
    run_id = records.create_run(store, config)
    moved = Store(store.root.rename(tmp_path / "moved")).open()
    assert runs.read_config(moved, run_id)
    (run,) = client.client(moved).search_runs(["1"])
    assert Path(run.info.artifact_uri) == moved.config_file(run_id).parent
    assert moved.config_file(records.create_run(moved, config)).is_relative_to(moved.root)


def test_processes_that_open_a_new_store_at_once_agree(tmp_path):
    code = f"from tracking.store import Store; Store({str(tmp_path / 'mlruns')!r}).open()"
    openers = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [opener.communicate()[1] for opener in openers] == ["", ""]
    assert [opener.returncode for opener in openers] == [0, 0]
    connection = sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")
    names = connection.execute("SELECT name FROM experiments WHERE name = 'convnet-arena'").fetchall()
    connection.close()
    assert len(names) == 1


def test_reading_imports_neither_mlflow_nor_torch(store, config):
    records.create_run(store, config)
    code = f"""
import sys
import tracking.client, tracking.comparison, tracking.records, tracking.series
from tracking import runs
from tracking.store import Store
store = Store({str(store.root)!r}).open()
assert len(runs.list_runs(store)) == 1
print(sorted({{"mlflow", "torch", "pandas", "sqlalchemy"}} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


def test_missing_store_is_one_sentence(tmp_path):
    with refused(Unavailable.MISSING, database=tmp_path / "mlflow.db"):
        runs.list_runs(Store(tmp_path))


def test_corrupt_database_is_one_sentence(store):
    store.database.write_bytes(b"this is not SQLite" * 1000)
    for look in (lambda: runs.list_runs(store), store.open):
        with refused(Unavailable.DAMAGED):
            look()


def test_empty_database_file_becomes_a_store(tmp_path):
    (tmp_path / "mlflow.db").touch()
    assert runs.list_runs(Store(tmp_path).open()) == []


def test_locked_database_is_one_sentence(closed_store, monkeypatch):
    monkeypatch.setattr("tracking.schema.BUSY_TIMEOUT_S", 0.1)
    blocker = sqlite3.connect(closed_store.database, isolation_level=None)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    blocker.execute("BEGIN EXCLUSIVE")
    blocker.execute("CREATE TABLE blocked (x)")
    try:
        with refused(Unavailable.LOCKED):
            runs.list_runs(closed_store)
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()


def test_root_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "mlruns").write_text("not a folder")
    with refused(Unavailable.NOT_A_FOLDER):
        Store(tmp_path / "mlruns").open()


def test_database_of_another_mlflow_is_one_sentence(closed_store):
    connection = sqlite3.connect(closed_store.database)
    connection.execute("UPDATE alembic_version SET version_num = 'abcdef012345'")
    connection.commit()
    connection.close()
    with refused(Unavailable.OTHER_VERSION, address=closed_store.uri):
        runs.list_runs(closed_store)


@pytest.mark.parametrize("run_id", ["", "..", "../../etc/passwd", "a" * 31, "A" * 32, "a" * 32 + "\n"])
def test_no_path_leaves_the_root(store, run_id):
    for path in (store.log_file, store.checkpoint_folder, store.config_file):
        with pytest.raises(ValueError, match="not a run id"):
            path(run_id)
