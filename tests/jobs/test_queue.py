"""The queue: runs are moved, held, chained and given priorities; the supervisor follows."""

import pytest

from jobs.problems import Refused
from jobs.scheduling import queue
from jobs.submission import requests
from tests.refusals import refused
from tracking import records, runs
from tracking.entities import ACTIVE_STATUSES
from tracking.problems import Wrong
from tracking.store import Store


def names(store: Store) -> str:
    return "".join(run.name for run in queue.line_up(runs.list_runs(store, ["SCHEDULED"])))


@pytest.fixture
def ids(store: Store) -> dict[str, str]:
    return {name: records.create_run(store, {}, name=name) for name in "abcd"}


@pytest.mark.parametrize(
    ("name", "directions", "expected"),
    [
        ("a", ["up"], "abcd"),
        ("b", ["up"], "bacd"),
        ("a", ["down"], "bacd"),
        ("a", ["down", "down", "down", "down"], "bcda"),
        ("d", ["first"], "dabc"),
        ("b", ["last", "up"], "acbd"),
        ("c", ["up", "down"], "abcd"),
    ],
)
def test_moving(store, ids, name, directions, expected):
    for direction in directions:
        queue.move(store, ids[name], direction)
    assert names(store) == expected
    records.create_run(store, {}, name="e")
    assert names(store) == f"{expected}e", "whoever comes later stands at the end"


def test_a_move_writes_one_run_alone_as_long_as_there_is_room(store, ids):
    before = {run.run_id: run.tags for run in runs.list_runs(store)}
    queue.move(store, ids["d"], "up")
    changed = [run.name for run in runs.list_runs(store) if run.tags != before[run.run_id]]
    assert changed == ["d"] and names(store) == "abdc"
    for number in range(30):  # the gap between the same two runs becomes smaller and smaller
        queue.move(store, ids["bd"[number % 2]], "down")
        assert names(store) == ("adbc", "abdc")[number % 2]


def test_a_higher_priority_comes_first_and_can_be_passed(store, ids):
    queue.prioritise(store, ids["c"], 5)
    queue.prioritise(store, ids["d"], -1)
    assert names(store) == "cabd"
    queue.move(store, ids["b"], "first")
    assert names(store) == "bcad" and queue.priority_of(runs.get_run(store, ids["b"])) == 5
    queue.move(store, ids["b"], "last")
    assert names(store) == "cadb" and queue.priority_of(runs.get_run(store, ids["b"])) == -1


def test_priorities_have_limits(store, ids):
    with refused(Refused.PRIORITY, priority=101, lowest=-100, highest=100):
        queue.prioritise(store, ids["a"], 101)


def test_only_waiting_runs_can_be_moved(store, ids):
    records.set_status(store, ids["a"], "RUNNING")
    for act in (queue.hold, queue.release, lambda *given: queue.move(*given, "up")):
        with refused(Refused.NOT_WAITING, name="a", status="RUNNING"):
            act(store, ids["a"])
    records.set_tags(store, ids["c"], {"job.slots": "cpu:0", "job.pid": 1})
    with refused(Refused.IS_STARTING, name="c"):
        queue.hold(store, ids["c"])
    with refused(Refused.DIRECTION, directions="up, down, first, last"):
        queue.move(store, ids["b"], "sideways")


def test_no_run_waits_for_itself(store, ids):
    queue.start_after(store, ids["b"], ids["a"])
    queue.start_after(store, ids["c"], ids["b"])
    for other in ("c", "a"):
        with refused(Refused.WAITS_FOR_ITSELF, name="a"):
            queue.start_after(store, ids["a"], ids[other])
    with refused(Wrong.NO_RUN, run_id="nobody"):
        queue.start_after(store, ids["a"], "nobody")


def test_a_held_job_lets_others_pass(bench):
    held, free = bench.submit("finish"), bench.submit("finish")
    queue.hold(bench.store, held)
    bench.until_ended(free)
    bench.supervisor.step()
    assert bench.run(held).status == "SCHEDULED" and "job.pid" not in bench.run(held).tags
    queue.release(bench.store, held)
    assert bench.until_ended(held)[0].status == "FINISHED"


def test_a_moved_job_starts_first(bench):
    running, second, third = bench.submit("sleep"), bench.submit("sleep"), bench.submit("sleep")
    bench.until_printed(running, "sleeping")
    queue.move(bench.store, third, "up")
    requests.request_stop(bench.store, running)
    bench.until_printed(third, "sleeping")
    assert "job.pid" not in bench.run(second).tags


@pytest.mark.parametrize(("behaviour", "status"), [("finish", "FINISHED"), ("exit", "FAILED")])
def test_after_another_whatever_its_result(store, benches, behaviour, status):
    bench = benches(store, ("cuda:0", "cuda:1"))
    config = {"seconds": 0.5} if behaviour == "finish" else {"code": 1}
    first, second = bench.submit(behaviour, **config), bench.submit("finish")
    queue.start_after(store, second, first)
    bench.supervisor.step()
    assert "job.pid" in bench.run(first).tags and "job.pid" not in bench.run(second).tags
    active = {run.run_id: run for run in runs.list_runs(store, ACTIVE_STATUSES)}
    assert queue.obstacle(active[second], active) == f"after {active[first].name}"
    assert [run.status for run in bench.until_ended(first, second)] == [status, "FINISHED"]


def test_a_run_that_waits_for_a_deleted_one_starts(bench):
    first, second = bench.submit("finish"), bench.submit("finish")
    queue.start_after(bench.store, second, first)
    records.delete_run(bench.store, first)
    bench.until_ended(second)
