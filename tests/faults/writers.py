"""Six processes that write runs while one reads them; prints their counts as JSON.

Called as `python -m tests.faults.writers SECONDS`. They are forks of one process, to import only once.
"""

import json
import os
import sys
import time
import traceback

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow.store.tracking.sqlalchemy_store
import mlflow.tracking

from tracking import records, runs
from tracking.series import read_series
from tracking.store import Store

PAID = (mlflow.store.tracking.sqlalchemy_store, mlflow.tracking)
NUM_WRITERS = 6


def write(store: Store, seconds: float) -> int:
    run_id, step = records.create_run(store, {"model": {}}, name=f"writer-{os.getpid()}"), 0
    deadline = time.monotonic() + seconds  # the first write of each process takes longest
    while time.monotonic() < deadline:
        step += 1
        records.log_metrics(store, run_id, {"train/loss": 1 / step, "train/images_per_s": 9.0}, step)
        records.set_tags(store, run_id, {"step": step})
    records.set_status(store, run_id, "FINISHED")
    return step


def read(store: Store, seconds: float) -> int:
    looks, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        ids = [run.run_id for run in runs.list_runs(store)]
        read_series(store, ids, ["train/loss"])
        looks += 1
    return looks


def fork(work, *arguments) -> int:
    """Start a process and return the pipe with its result, a number, or nothing after an error."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            os.write(writing, str(work(*arguments)).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(writing)
    return reading


if __name__ == "__main__":
    store, seconds = Store.default(), float(sys.argv[1])
    pipes = [fork(work, store, seconds) for work in [*[write] * NUM_WRITERS, read]]
    answers = []
    for pipe in pipes:
        answers.append(os.read(pipe, 100).decode())
        os.close(pipe)
        os.wait()
    sys.stdout.write(json.dumps(answers) + "\n")
