"""A run of several processes ends and is resumed as a whole."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jobs.engines.local import LocalEngine
from jobs.problems import Ending
from jobs.submission.spec import JobSpec
from jobs.submission.submit import submit
from jobs.supervision.supervisor import Supervisor
from problems import Problem
from tests.faults.test_power_cut import family
from tests.jobs.conftest import wait_for
from tracking import runs
from tracking.runs import Run
from tracking.store import Store
from training.problems import FailedTraining

PATIENCE_S = 120


def second(store: Store) -> psutil.Process | None:
    """The process of rank 1, as soon as it is there."""
    ranks = [one for one in family(store) if one.environ().get("LOCAL_RANK") == "1"]
    return min(ranks, key=psutil.Process.create_time, default=None)


@pytest.mark.fault(
    "kill -9 of DDP rank 1, twice without progress", "resumed, then FAILED with the rank; no process left"
)
def test_a_lost_rank_is_a_lost_process(store: Store, observed: Callable[[str], None]) -> None:
    (config,) = JobSpec(
        ("cifar_resnet20",), epochs=1000, batch_size=16, image_size=32, num_workers=1, devices=2
    ).configs()
    config["trainer"]["accelerator"] = "cpu"
    run_id = submit(store, config | {"checkpoint_interval_s": 0})
    supervisor = Supervisor(store, LocalEngine(store, ("cpu:0",)), max_resumes=1)

    def run() -> Run:
        supervisor.step()
        return runs.get_run(store, run_id)

    def lose(rank: psutil.Process) -> None:
        before = run().tags["job.pid"]
        rank.send_signal(signal.SIGKILL)
        wait_for(lambda: run().is_terminal or run().tags["job.pid"] not in ("", before), PATIENCE_S)

    last = Path(store.checkpoint_folder(run_id) / "last.ckpt")
    wait_for(lambda: run() and last.exists(), PATIENCE_S)
    for _ in range(2):  # the second time without a new checkpoint
        lose(wait_for(lambda: run() and second(store), PATIENCE_S))
    sentence = str(Problem(FailedTraining.RANK_DIED, rank=1, signal="Killed"))
    assert run().tags["job.lost_reason"] == sentence
    reason = Problem(Ending.NO_PROGRESS, reason=sentence, times=1)
    assert (run().status, run().error) == ("FAILED", str(reason))
    psutil.wait_procs(family(store), timeout=5)
    assert family(store) == []
    observed(run().error)
