import numpy as np
import pytest

from tracking import comparison, records, runs, series


@pytest.fixture
def run(store, config):
    run_id = records.create_run(store, config, name="one")
    records.log_params(store, run_id, {"steps_per_epoch": 10, "images_per_step": 64, "precision": "32-true"})
    for step, value in ((10, 50.0), (20, 20.0), (30, 30.0)):
        records.log_metrics(store, run_id, {"val/error_top1": value, "train/images_per_s": value}, step)
    return runs.get_run(store, run_id)


def read(store, run, key="val/error_top1"):
    return series.read_series(store, [run.run_id], [key])[run.run_id, key]


def test_arrays_in_the_order_of_steps(store, run):
    found = read(store, run)
    assert found.steps.tolist() == [10, 20, 30] and found.steps.dtype == np.int64
    assert found.values.tolist() == [50.0, 20.0, 30.0]
    assert (np.diff(found.times) >= 0).all() and len(found) == 3


def test_the_latest_wins_after_a_resume(store, run):
    records.log_metrics(store, run.run_id, {"val/error_top1": 25.0}, 20)
    records.log_metrics(store, run.run_id, {"val/error_top1": 15.0}, 30)
    found = read(store, run)
    assert found.steps.tolist() == [10, 20, 30]
    assert found.values.tolist() == [50.0, 25.0, 15.0]


def test_a_resume_takes_back_what_it_repeats(store, run):
    records.set_tags(store, run.run_id, {"job.resumed_steps": "12"})
    records.log_metrics(store, run.run_id, {"val/error_top1": 19.0}, 25)
    found = read(store, run)
    assert found.steps.tolist() == [10, 25, 30] and found.values.tolist() == [50.0, 19.0, 30.0]
    records.log_metrics(store, run.run_id, {"val/error_top1": 18.0}, 35)
    assert read(store, run).steps.tolist() == [10, 25, 35]
    records.set_tags(store, run.run_id, {"job.resumed_steps": "12 25"})
    records.log_metrics(store, run.run_id, {"val/error_top1": 17.0}, 33)
    assert read(store, run).steps.tolist() == [10, 25, 33, 35]
    records.log_metrics(store, run.run_id, {"val/error_top1": 16.0}, 38)
    assert read(store, run).values.tolist() == [50.0, 19.0, 17.0, 16.0]


def test_a_resume_that_repeats_nothing_takes_back_nothing(store, run):
    records.set_tags(store, run.run_id, {"job.resumed_steps": "30"})
    records.log_metrics(store, run.run_id, {"val/error_top1": 19.0}, 40)
    assert read(store, run).steps.tolist() == [10, 20, 30, 40]


def test_a_step_logged_once_counts_whatever_the_clock_showed(store, config):
    """Steps 51 to 100 come from a machine whose clock is an hour behind."""
    run_id = records.create_run(store, config)
    for step in range(1, 101):
        time_ms = 1_700_000_000_000 + step - 3_600_000 * (step > 50)
        records.log_points(store, run_id, [("val/loss", float(step), time_ms, step)])
    one = runs.get_run(store, run_id)
    assert read(store, one, "val/loss").steps.tolist() == list(range(1, 101)) and one.step == 100
    records.log_points(store, run_id, [("val/loss", 7.0, 1_600_000_000_000, 99)])
    assert read(store, one, "val/loss").values[98] == 7.0, "written last"


def test_nothing_logged_is_empty(store, run):
    found = read(store, run, "none")
    assert len(found) == len(found.values) == len(found.times) == 0
    assert series.metric_keys(store, [run.run_id]) == ["train/images_per_s", "val/error_top1"]
    assert series.metric_keys(store, []) == []


def test_axes(store, run):
    found = read(store, run)
    assert series.axis_values(run, found, "step").tolist() == [10, 20, 30]
    assert series.axis_values(run, found, "epoch").tolist() == [1, 2, 3]
    assert series.axis_values(run, found, "images").tolist() == [640, 1280, 1920]
    assert (series.axis_values(run, found, "seconds") >= 0).all()
    with pytest.raises(ValueError, match="no axis 'metres'"):
        series.axis_values(run, found, "metres")


def test_best_and_last(store, run):
    error, speed = comparison.best_and_last(store, [run], ["val/error_top1", "none", "train/images_per_s"])
    assert (error.best, error.best_step, error.last, error.last_step) == (20.0, 20, 30.0, 30)
    assert (speed.best, speed.best_step, speed.last) == (50.0, 10, 30.0)


def test_nan_is_not_the_best(store, run):
    records.log_metrics(store, run.run_id, {"val/error_top1": np.nan}, 40)
    (summary,) = comparison.best_and_last(store, [run], ["val/error_top1"])
    assert summary.best == 20.0 and np.isnan(summary.last)


def test_only_the_settings_that_differ(store, run, config):
    config["model"]["architecture"] = "vgg16"
    config["data"]["root"] = "/data"
    other = runs.get_run(store, records.create_run(store, config))
    assert comparison.differing_settings([run, other]) == {
        "data.root": ["", "/data"],
        "model.architecture": ["alexnet", "vgg16"],
        "precision": ["32-true", ""],
    }
    assert comparison.differing_settings([run]) == comparison.differing_settings([]) == {}


def test_best_of_each_architecture_and_source(store, run, config):
    def add(architecture, source, value):
        config["model"]["architecture"], config["data"]["source"] = architecture, source
        run_id = records.create_run(store, config)
        records.log_metrics(store, run_id, {"val/error_top1": value}, 10)
        return run_id

    better = add("alexnet", "digits", 10.0)
    vgg = add("vgg16", "digits", np.nan)
    folder = add("alexnet", "folder", 5.0)
    found = comparison.best_per_architecture(store)
    assert [summary.run.run_id for summary in found] == [folder, better, vgg]


def test_csv(store, run):
    lines = comparison.series_csv(store, [run], ["val/error_top1"]).splitlines()
    assert lines[0] == "run,name,key,step,epoch,images,seconds,value"
    assert len(lines) == 4
    fields = lines[2].split(",")
    assert fields[:6] == [run.run_id, "one", "val/error_top1", "20", "2", "1280"]
    assert fields[7] == "20.0" and float(fields[6]) >= 0
