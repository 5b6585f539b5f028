import math
import sqlite3
import time

import pytest
import yaml

from tracking import client, database, records, runs, series
from tracking.schema import is_known


def fill(store, config):
    """Three runs with everything that can be odd, and one that was deleted."""
    ids = [records.create_run(store, config, name=f"run {index}") for index in range(4)]
    records.log_params(store, ids[0], {"steps_total": 100, "steps_per_epoch": 20, "images_per_step": 64})
    now = int(time.time() * 1000)
    records.set_tags(store, ids[0], {"job.started_at": now, runs.ENDS_AT: now + 60_000, "note": "ü"})
    records.set_status(store, ids[0], "RUNNING")
    records.log_metrics(store, ids[0], {"train/loss": 2.5, "val/loss": math.nan}, 10)
    records.log_metrics(store, ids[0], {"train/loss": math.inf, "val/loss": 1.0}, 20)
    records.log_metrics(store, ids[0], {"train/loss": -math.inf, "val/loss": math.nan}, 30)
    records.set_status(store, ids[1], "FAILED")
    records.set_status(store, ids[2], "RUNNING")
    records.set_status(store, ids[2], "FINISHED")
    records.set_status(store, ids[3], "KILLED")
    records.delete_run(store, ids[3])
    return ids[:3]


def comparable(found):
    """NaN is not equal to itself; its text is."""
    return (
        sorted(repr(record._replace(params=0, tags=0, metrics=0)) for record in found),
        {record.run_id: [sorted(record.params.items()), sorted(record.tags.items())] for record in found},
        {record.run_id: repr(sorted(record.metrics.items())) for record in found},
    )


def test_the_revision_of_this_mlflow_is_known(store):
    assert is_known(store)
    assert runs.reader(store) is database


def test_tables_of_another_mlflow_are_read_through_its_client(store, monkeypatch, caplog):
    monkeypatch.setattr("tracking.schema.KNOWN_REVISIONS", set())
    assert [runs.reader(store), runs.reader(store)] == [client, client]
    (line,) = caplog.messages
    assert str(store.database) in line


def test_both_readers_return_the_same(store, config):
    ids = fill(store, config)
    assert len(database.read_runs(store)) == 3
    assert comparable(database.read_runs(store)) == comparable(client.read_runs(store))
    for statuses in (["RUNNING"], ["SCHEDULED", "RUNNING", "FAILED"], []):
        one, other = database.read_runs(store, statuses), client.read_runs(store, statuses)
        assert comparable(one) == comparable(other)
    for run_id in (ids[0], "0" * 32):
        one, other = database.read_runs(store, run_id=run_id), client.read_runs(store, run_id=run_id)
        assert comparable(one) == comparable(other)
    for steps, architecture in (("100", "alexnet"), ("100", "vgg16"), ("200", "alexnet")):
        params = {"steps_total": steps, "model.architecture": architecture}
        is_first = (steps, architecture) == ("100", "alexnet")
        one, other = database.read_runs(store, params=params), client.read_runs(store, params=params)
        assert comparable(one) == comparable(other)
        assert [run.run_id for run in one] == ids[:is_first]
    assert database.read_keys(store, ids) == client.read_keys(store, ids) == {"train/loss", "val/loss"}


def test_both_readers_return_the_same_series(store, config, monkeypatch):
    ids = fill(store, config)
    direct = series.read_series(store, ids, ["train/loss", "val/loss", "none"])
    monkeypatch.setattr("tracking.schema.KNOWN_REVISIONS", set())
    assert runs.reader(store) is client
    through_mlflow = series.read_series(store, ids, ["train/loss", "val/loss", "none"])
    assert repr(direct) == repr(through_mlflow)
    assert [run.run_id for run in runs.list_runs(store)] == ids[::-1]


def test_newest_first_without_the_deleted(store, config):
    ids = fill(store, config)
    assert [run.run_id for run in runs.list_runs(store)] == ids[::-1]
    assert [run.run_id for run in runs.list_runs(store, ("FAILED", "FINISHED"))] == [ids[2], ids[1]]
    assert runs.list_runs(store, ()) == []


def test_runs_of_other_experiments_are_not_ours(store, config):
    other = client.client(store).create_experiment("other")
    client.client(store).create_run(other)
    assert runs.list_runs(store) == []


def test_what_a_run_knows(store, config):
    run = runs.get_run(store, fill(store, config)[0])
    assert (run.architecture, run.source, run.recipe, run.image_size) == ("alexnet", "digits", "quick", 64)
    assert (run.name, run.status, run.is_active, run.is_terminal) == ("run 0", "RUNNING", True, False)
    assert run.step == 30 and run.progress == pytest.approx(0.3) and run.epoch == pytest.approx(1.5)
    assert run.metrics["train/loss"] == -math.inf and math.isnan(run.metrics["val/loss"])
    assert 0 <= run.duration_s < 60 and run.eta_s is not None
    assert "data.root" not in run.params
    assert run.ended_at is None


def test_a_run_that_waits_knows_little(store, config):
    run = runs.get_run(store, records.create_run(store, config))
    assert (run.status, run.progress, run.eta_s, run.duration_s, run.epoch) == (
        "SCHEDULED",
        0,
        None,
        None,
        None,
    )
    assert run.name.startswith("alexnet-digits-")
    assert abs(run.created_at - time.time()) < 60


def test_the_time_left_is_what_its_process_says_as_long_as_it_trains(store, config):
    run_id = records.create_run(store, config)
    records.set_status(store, run_id, "RUNNING")
    assert runs.get_run(store, run_id).eta_s is None, "nothing measured yet"
    records.set_tags(store, run_id, {runs.ENDS_AT: int((time.time() + 3600) * 1000)})
    assert 3540 < runs.get_run(store, run_id).eta_s <= 3600
    records.set_tags(store, run_id, {runs.ENDS_AT: int((time.time() - 9) * 1000)})
    assert runs.get_run(store, run_id).eta_s == 0, "it takes a little longer than it thought"
    records.set_tags(store, run_id, {runs.ENDS_AT: ""})
    assert runs.get_run(store, run_id).eta_s is None, "it goes on, and has not measured yet"
    records.set_tags(store, run_id, {runs.ENDS_AT: int((time.time() + 3600) * 1000)})
    records.set_status(store, run_id, "KILLED")
    assert runs.get_run(store, run_id).eta_s is None


def test_terminal_status_sets_the_end(store, config):
    run = runs.get_run(store, fill(store, config)[2])
    assert run.is_terminal and run.progress == 1.0
    assert abs(run.ended_at - time.time()) < 60


def test_config_comes_back_as_it_was(store, config):
    run_id = records.create_run(store, config)
    assert yaml.safe_load(runs.read_config(store, run_id)) == config


def test_unknown_runs(store, config):
    for run_id in ("0" * 32, "x", "", "' OR 1=1 --"):
        with pytest.raises(ValueError, match="There is no run"):
            runs.get_run(store, run_id)
    with pytest.raises(ValueError, match="There is no run"):
        runs.read_config(store, "../../../etc/passwd")


def test_find_by_name_or_prefix(store, config):
    ids = fill(store, config)
    assert runs.find_run(store, "run 1").run_id == ids[1]
    assert runs.find_run(store, ids[2][:12]).run_id == ids[2]
    for name in ("nothing", "", "run 3"):
        with pytest.raises(ValueError, match="No run has"):
            runs.find_run(store, name)
    client.client(store).update_run(ids[2], name="run 1")
    with pytest.raises(ValueError, match="matches 2 runs"):
        runs.find_run(store, "run 1")


def test_delete_removes_logs_and_checkpoints(store, config):
    run_id = records.create_run(store, config)
    store.log_file(run_id).write_text("log")
    store.checkpoint_folder(run_id).mkdir()
    (store.checkpoint_folder(run_id) / "last.ckpt").write_text("weights")
    records.delete_run(store, run_id)
    assert not store.log_file(run_id).exists() and not store.checkpoint_folder(run_id).exists()
    assert runs.list_runs(store) == []


def test_flatten():
    flat = records.flatten(
        {"a": {"b": 1, "c": None, "d": {}}, "e": [1, "x"], "f": True, "g": "text", "h": 0.1}
    )
    assert flat == {"a.b": "1", "e": '[1, "x"]', "f": "true", "g": "text", "h": "0.1"}


def test_a_thousand_runs_are_quick(store, config):
    template = records.create_run(store, config)
    with sqlite3.connect(store.database) as connection:
        for index in range(999):
            clone = f"{index:032x}"
            for table in ("runs", "params", "tags"):
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                chosen = ", ".join("?" if column == "run_uuid" else column for column in columns)
                connection.execute(
                    f"INSERT INTO {table} SELECT {chosen} FROM {table} WHERE run_uuid = ?", (clone, template)
                )
    connection.close()
    started = time.process_time()
    assert len(runs.list_runs(store)) == 1000
    assert time.process_time() - started < 0.5
