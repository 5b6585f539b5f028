"""One SQLite database, many processes."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tracking import runs
from tracking.layout import REPOSITORY
from tracking.series import read_series
from tracking.store import Store

SECONDS = 60.0


@pytest.mark.fault(f"6 writers, 1 reader on SQLite, {SECONDS:g} s", "no lock error, no point lost")
def test_no_lock_error(store: Store, observed: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "tests.faults.writers", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    *writers, looks = (int(answer) for answer in json.loads(done.stdout))
    found = runs.list_runs(store)
    assert {run.status for run in found} == {"FINISHED"} and len(found) == len(writers) == 6
    series = read_series(store, [run.run_id for run in found], ["train/loss"])
    assert sorted(len(one.steps) for one in series.values()) == sorted(writers)
    assert all(run.tags["step"] == str(run.step) for run in found)
    assert min(writers) > 0 and looks > 0
    observed(f"{sum(writers)} steps of 2 metrics and a tag written, {looks} looks, no error")
