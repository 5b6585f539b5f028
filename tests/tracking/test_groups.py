"""Runs that differ in nothing but the seed."""

import pytest

from tracking import records, runs
from tracking.groups import GROUP, groups, seed_groups
from tracking.store import Store


def finish(store: Store, error: float, status: str = "FINISHED", group: str = "", **settings: object) -> str:
    config = {"seed_everything": 0, "model": {"architecture": "alexnet"}, **settings}
    run_id = records.create_run(store, config, tags={GROUP: group} if group else None)
    records.log_metrics(store, run_id, {"val/error_top1": error}, 1)
    records.set_status(store, run_id, status)
    return run_id


def test_mean_and_spread_over_seeds(store: Store) -> None:
    for seed, error in enumerate((2.0, 3.0, 4.0)):
        finish(store, error, seed_everything=seed)
    finish(store, 50.0, "FAILED", seed_everything=3)
    finish(store, 9.0, seed_everything=4, data={"source": "folder"})
    (group,) = seed_groups(runs.list_runs(store))
    assert group.mean("val/error_top1") == pytest.approx(3) and len(group.runs) == 3
    assert group.spread("val/error_top1") == pytest.approx(1)
    assert group.mean("val/loss") is None and group.spread("val/loss") is None


def test_the_same_seed_again_is_no_other_sample(store: Store) -> None:
    finish(store, 2.0)
    finish(store, 4.0)
    assert seed_groups(runs.list_runs(store)) == []
    finish(store, 6.0, seed_everything=1)
    (group,) = seed_groups(runs.list_runs(store))
    assert sorted(group.values("val/error_top1")) == [4.0, 6.0], "the newest of a seed counts"


def test_what_was_submitted_at_once_is_a_group(store: Store) -> None:
    for seed in (0, 1):
        for rate in (0.1, 0.01):
            model = {"architecture": "alexnet", "learning_rate": rate}
            finish(store, 10 * rate + seed, group="grid", seed_everything=seed, model=model)
    finish(store, 70.0, "FAILED", group="grid", seed_everything=2, model=model)
    finish(store, 9.0)
    finish(store, 5.0, group="later")
    later, grid = groups(runs.list_runs(store))
    assert (later.name, grid.name) == ("later", "grid")
    assert (grid.count("FINISHED"), grid.count("FAILED")) == (4, 1)
    assert [one.mean("val/error_top1") for one in grid.configurations] == pytest.approx([1.5, 0.6])
    assert grid.differs("model.learning_rate") and not grid.differs("model.architecture")
    assert all(one.submitted_together for one in grid.configurations)
    assert [len(one.runs) for one in seed_groups(runs.list_runs(store))] == [2, 2]
