"""Which run on one device a run on several is measured against."""

from typing import Any

import pytest

from tracking import records
from tracking.scaling import SPEED, find_one_device
from tracking.store import Store

FOUND = {"precision": "32-true", "device": "NVIDIA H200"}


def add(store: Store, config: dict[str, Any], name: str, *, host: str = "here", **found: object) -> str:
    run_id = records.create_run(store, config, name=name)
    records.log_params(store, run_id, FOUND | {"world_size": 1} | found)
    records.set_tags(store, run_id, {"job.host": host})
    for step, speed in enumerate((10, 100, 90)):
        records.log_metrics(store, run_id, {SPEED: speed}, step)
    return run_id


def test_the_newest_that_trained_the_same_on_one_device(store: Store, config: dict[str, Any]) -> None:
    add(store, config, "older")
    add(store, config | {"trainer": {"max_epochs": 1}}, "one epoch of it")
    add(store, config | {"data": config["data"] | {"batch_size": 7}}, "other batch")
    add(store, config, "other machine", host="there")
    add(store, config, "other device", device="NVIDIA H100")
    add(store, config, "other precision", precision="bf16-mixed")
    add(store, config, "four devices", world_size=4)
    two = add(store, config, "two devices", world_size=2)
    found = find_one_device(store, two, FOUND)
    assert found is not None and found.run.name == "one epoch of it" and found.images_per_s == 90
    assert found.efficiency(144, 2) == pytest.approx(80)
    assert find_one_device(store, two, FOUND | {"device": "cpu (2 threads)"}) is None


def test_without_a_speed_nothing_is_measured(store: Store, config: dict[str, Any]) -> None:
    waiting = records.create_run(store, config)
    records.log_params(store, waiting, FOUND | {"world_size": 1})
    records.set_tags(store, waiting, {"job.host": "here"})
    assert find_one_device(store, add(store, config, "two devices", world_size=2), FOUND) is None
