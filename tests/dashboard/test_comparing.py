"""What Compare shows of real runs: lines on every axis, marks, rows and labels."""

import time

import numpy as np
import pytest

from dashboard.architectures.rows import layer_rows, measured
from dashboard.compare import rows as comparing
from dashboard.networks import catalogue
from dashboard.runs import board, curves
from tracking import client, records
from tracking.comparison import best_and_last, best_per_architecture
from tracking.runs import list_runs
from tracking.series import AXES
from tracking.store import Store


@pytest.mark.parametrize(
    ("axis", "last", "title"), [("epoch", 3, "Epoch"), ("step", 120, "Step"), ("images", 3840, "Images seen")]
)
def test_lines_on_every_axis(axis: str, last: float, title: str, filled_store: Store) -> None:
    runs = list_runs(filled_store, ["FINISHED"])
    lines, name = curves.in_units(curves.read_lines(filled_store, runs, "error_top1", axis), axis)
    assert len(lines) == 4 and name == title
    assert {line.x[-1] for line in lines} == {last}
    assert {line.split for line in lines} == {"train", "val"}


@pytest.mark.parametrize(
    ("seconds", "title", "end"),
    [(90, "Seconds", 90), (600, "Minutes", 10), (7200, "Hours", 2), (0, "Seconds", 0)],
)
def test_time_has_a_readable_unit(seconds: float, title: str, end: float) -> None:
    x = np.array([0.0, seconds])
    lines, name = curves.in_units([curves.Line("a", "#000000", "val", x, x)], "seconds")
    assert name == f"{title} of training" and lines[0].x[-1] == end


def test_every_axis_of_the_store_can_be_chosen() -> None:
    assert set(curves.X_NAMES) == set(AXES)


def test_metrics_found_in_the_store_are_offered() -> None:
    keys = ["train/loss", "val/loss", "val/error_top5", "val/error_top1", "val/entropy", "epoch", "odd/x"]
    assert curves.metric_choices(keys) == ["error_top1", "error_top5", "loss", "entropy"]


def test_runs_of_the_same_name_have_labels_of_their_own(filled_store: Store) -> None:
    runs = list_runs(filled_store, ["FINISHED"])
    for run in runs:
        client.client(filled_store).update_run(run.run_id, name="twin")
    labels = curves.run_labels(list_runs(filled_store, ["FINISHED"]))
    assert len(set(labels.values())) == 2 and all(label.startswith("twin (") for label in labels.values())


def test_runs_of_one_network_differ_in_shade_and_mark(filled_store: Store) -> None:
    looks = curves.run_looks([run for run in list_runs(filled_store) if run.architecture == "resnet18"])
    labels, colours, symbols = (set(values) for values in zip(*looks.values(), strict=True))
    assert len(labels) == len(colours) == len(symbols) == 2


def test_marks_stand_at_the_best_error(filled_store: Store) -> None:
    runs = list_runs(filled_store)
    best = best_and_last(filled_store, runs, ["val/error_top1"])
    marks = comparing.run_marks(runs, best, "parameters")
    assert len(marks) == 4, "the queued one has nothing to show"
    assert {mark.y for mark in marks} == {11.0, 31.0} and not any(mark.published for mark in marks)
    assert all("measured here on digits · quick · 64 px" in mark.detail for mark in marks)


@pytest.mark.parametrize("metric", ["error_top1", "error_top5"])
def test_what_was_published_is_marked(metric: str) -> None:
    networks = catalogue.architectures()
    marks = comparing.published_marks(networks, list(networks), metric, catalogue.costs("parameters"))
    named = metric.removeprefix("error_")
    known = [
        key
        for key, one in networks.items()
        if any(getattr(error, named) is not None for error in one.published)
    ]
    assert [mark.label for mark in marks] == known and len(known) > 20
    assert all(mark.published and "published, not measured here" in mark.detail for mark in marks)
    assert all(0 < mark.y < 100 for mark in marks)


def test_measured_errors_name_their_images(filled_store: Store) -> None:
    found = measured(best_per_architecture(filled_store))
    assert found["alexnet"] == "11.0 % on digits · quick · 64 px" and "resnet50" not in found


def test_the_layers_add_up() -> None:
    ledger = catalogue.ledger("googlenet", 10, 64, {})
    rows = layer_rows(ledger)
    assert sum(int(str(row["Parameters"])) for row in rows) == ledger.parameters_with_auxiliary
    assert sum(float(str(row["Share of parameters"])) for row in rows) == pytest.approx(100)


def test_the_store_is_read_again_only_after_it_was_written(filled_store: Store) -> None:
    time.sleep(2 * board.SETTLED_S)
    first = board.read_runs(filled_store)
    assert board.read_runs(filled_store) is first
    run = list_runs(filled_store, ["RUNNING"])[0]
    records.set_status(filled_store, run.run_id, "FINISHED")
    # At once, however coarse the clock of the file system is.
    assert not board.read_board(filled_store).running
    client.client(filled_store).update_run(run.run_id, name="another")
    assert "another" in [one.name for one in board.read_runs(filled_store)]
