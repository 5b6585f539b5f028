"""Backfilling: small jobs pass a large one only if they do not delay it."""

import time
from math import inf

import pytest

from jobs.scheduling.backfill import MARGIN, ResourceRequest, may_pass, starts
from jobs.scheduling.forecast import EXPECTED, forecast
from tests.jobs.test_forecast import HOST, run
from tracking import records, runs


def ask(count: int, takes_s: float | None) -> ResourceRequest:
    return ResourceRequest(count, takes_s, "cuda")


BIG = ask(2, 100)


@pytest.mark.parametrize(
    ("request_", "passed", "free_at", "allowed"),
    [
        (ask(1, 10), [BIG], [0, 20], True),
        (ask(1, 20 / MARGIN), [BIG], [0, 20], True),
        (ask(1, 20), [BIG], [0, 20], False),  # it would end just in time, without any margin
        (ask(1, 30), [BIG], [0, 20], False),
        (ask(1, None), [BIG], [0, 20], False),
        (ask(1, 10), [BIG], [0, inf], False),  # the start of the large one is unknown
        (ask(1, None), [BIG], [0, 20, 20, 20], True),  # there is one device more than the large one needs
        (ask(2, 1), [BIG], [0, 20, 20], False),  # not free
        (ask(1, 10), [ask(2, 5), ask(3, 5)], [0, 20, 20], True),
        # It does not delay the first, which needs two of the three devices, but the second, which needs all.
        (ask(1, 1000), [ask(2, 5), ask(3, 5)], [0, 20, 20], False),
        (ask(1, 1000), [ask(2, 5)], [0, 20, 20], True),
        (ask(1, 10), [ask(2, None), ask(2, 5)], [0, 20], False),
    ],
)
def test_who_may_pass(request_, passed, free_at, allowed):
    assert may_pass(request_, passed, free_at) is allowed


def test_starts_without_passing():
    assert starts([BIG, ask(1, 1), ask(1, 1)], [0, 20]) == [20, 120, 120]
    assert starts([ask(1, None), ask(2, 1)], [0, 0]) == [0, inf]
    assert starts([ask(3, 1)], [0, 0]) == [inf]


def test_the_forecast_includes_backfilling():
    running = run("x", "RUNNING", took_s=60)
    running.tags["job.slots"] = "cuda:0"
    both = run("a1", **{"queue.place": "1", EXPECTED: "100"})
    both.params["trainer.devices"] = "2"
    short, long = run("b1", **{EXPECTED: "20"}), run("c1", **{EXPECTED: "100"})
    spans = forecast([running], [both, long, short], [], ["cuda:0", "cuda:1"], HOST)
    assert spans["b1"].start_s == 0 and spans["b1"].slots == ("cuda:1",)
    assert spans["a1"].start_s == pytest.approx(60, abs=1) and spans["a1"].slots == ("cuda:0", "cuda:1")
    assert spans["c1"].start_s == pytest.approx(160, abs=1)


def test_a_short_job_runs_before_a_big_one_that_waits(store, benches):
    bench = benches(store, ("cuda:0", "cuda:1"))
    bench.supervisor.ask_grace_s = 60
    first = bench.submit("sleep", trainer={"devices": 1})
    bench.until_printed(first, "sleeping")
    in_ten_minutes_ms = int(1000 * (time.time() + 600))
    records.set_tags(store, first, {runs.ENDS_AT: in_ten_minutes_ms})
    records.set_status(store, first, "RUNNING")
    both = bench.submit("finish", trainer={"devices": 2})
    long = bench.submit("finish", trainer={"devices": 1})
    short = bench.submit("finish", trainer={"devices": 1})
    records.set_tags(store, both, {EXPECTED: 60})
    records.set_tags(store, long, {EXPECTED: 6000})
    records.set_tags(store, short, {EXPECTED: 60})
    (ended,) = bench.until_ended(short)
    assert (ended.status, ended.tags["job.slots"]) == ("FINISHED", "cuda:1")
    assert all("job.slots" not in bench.run(one).tags for one in (both, long))
