"""Two hundred jobs on two slots, with a supervisor that is killed in between."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.conftest import supervise, wait_for
from tracking import records, runs
from tracking.store import Store

NUM_JOBS = 200


@pytest.mark.fault("200 jobs, 2 slots, kill -9 of the supervisor", "each job exactly once, two at a time")
def test_each_exactly_once(store: Store, observed: Callable[[str], None]) -> None:
    ids = {records.create_run(store, {}, name=f"job-{number}") for number in range(NUM_JOBS)}
    lives, job = store.root / "lives.txt", Path(__file__).parent / "quick_job.py"

    def ended() -> list[list[str]]:
        return [line.split() for line in lives.read_text().splitlines()] if lives.exists() else []

    first = supervise(store, job, num_slots=2)
    wait_for(lambda: len(ended()) >= NUM_JOBS // 4, seconds=120)
    first.kill()
    first.communicate()
    second = supervise(store, job, num_slots=2)
    wait_for(lambda: len(ended()) >= NUM_JOBS, seconds=240)
    wait_for(lambda: all(run.is_terminal for run in runs.list_runs(store)))
    second.terminate()
    second.communicate()
    assert sorted(run_id for run_id, *_ in ended()) == sorted(ids)
    assert {run.status for run in runs.list_runs(store)} == {"FINISHED"}
    moments = [((float(began), 1), (float(end), -1)) for _, began, end in ended()]
    at_once = list(itertools.accumulate(step for _, step in sorted(itertools.chain(*moments))))
    assert max(at_once) <= 2
    observed(f"{len(ended())} jobs, each once, at most {max(at_once)} at a time")
