"""A request to stop works in every phase, even one that never ends, and leaves no process behind."""

import signal
import time
from collections.abc import Callable

import psutil
import pytest

from jobs.engines.local import LocalEngine
from jobs.submission.requests import request_stop
from jobs.submission.spec import JobSpec
from jobs.supervision.supervisor import Supervisor
from tests.faults.test_power_cut import family
from tests.faults.test_ranks import second
from tests.jobs.conftest import wait_for
from tests.training.conftest import Arena
from tracking import records, runs
from tracking.store import Store

GRACE_S = 2.0
TWO = " of two processes"
PHASES = ("import", "first batch", "validation", "saving", f"validation{TWO}")


@pytest.mark.fault(
    "stop while import, batch, validation (DDP, too), saving hang",
    "all gone within the grace time + 10 s, workers too",
)
def test_no_phase_outlives_a_stop(store: Store, observed: Callable[[str], None]) -> None:
    engine = LocalEngine(store, tuple(f"cpu:{number}" for number in range(len(PHASES) + 1)))
    supervisor = Supervisor(store, engine, ask_grace_s=GRACE_S, term_grace_s=GRACE_S)
    (config,) = JobSpec(("cifar_resnet20",), epochs=1, batch_size=16, image_size=32, num_workers=1).configs()
    config["trainer"] |= {"limit_train_batches": 2, "limit_val_batches": 2, "accelerator": "cpu"}
    ids = {}
    for phase in PHASES:
        name = phase.removesuffix(TWO)
        stuck = [{"class_path": "tests.training.probe.Stuck", "init_args": {"phase": name}}]
        trainer = {"callbacks": stuck, "devices": 1 if name == phase else 2}
        changed = config | {"trainer": config["trainer"] | trainer, "checkpoint_interval_s": 0}
        ids[phase] = records.create_run(store, changed, name=phase)

    def is_there(phase: str) -> bool:
        file = store.log_file(ids[phase])
        return file.exists() and (
            phase == "import" or f"stuck in {phase.removesuffix(TWO)}" in file.read_text()
        )

    took = {}
    waiting, began = set(PHASES), {}

    def step() -> bool:
        supervisor.step()
        for phase in sorted(waiting - began.keys()):
            if is_there(phase):
                request_stop(store, ids[phase])
                began[phase] = time.monotonic()
        for phase in sorted(began.keys() & waiting):
            if runs.get_run(store, ids[phase]).is_terminal:
                took[phase] = time.monotonic() - began[phase]
                waiting.discard(phase)
        return not waiting

    wait_for(step, seconds=240)
    assert {run.status for run in runs.list_runs(store)} == {"KILLED"}
    assert max(took.values()) < 2 * GRACE_S + 10, took
    psutil.wait_procs(family(store), timeout=5)
    assert family(store) == []
    observed(", ".join(f"{phase} {took[phase]:.1f} s" for phase in PHASES) + f" (grace {2 * GRACE_S:g} s)")


@pytest.mark.fault(
    "SIGTERM sent manually while two DDP processes connect", "KILLED, no process left without a supervisor"
)
@pytest.mark.parametrize("asked", ["one whose peer never comes", "both"])
def test_processes_that_connect_are_stopped_by_hand(arena: Arena, asked: str) -> None:
    process = arena.start(
        *("--model.architecture", "cifar_resnet20", "--data.image_size", "32", "--data.batch_size", "8"),
        *("--trainer.callbacks", "tests.training.probe.Hurry", "--trainer.max_epochs", "1000"),
        *("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"),
    )
    first, peer = psutil.Process(process.pid), wait_for(lambda: second(arena.store), seconds=60)
    if asked == "both":
        peer.send_signal(signal.SIGTERM)
    else:
        peer.suspend()
        wait_for(lambda: any(one.status == "LISTEN" for one in first.net_connections()), seconds=60)
    process.send_signal(signal.SIGTERM)
    _, complained = process.communicate(timeout=60)
    assert (process.returncode, arena.run.status) == (130, "KILLED"), complained
    assert family(arena.store) == []
    if asked != "both":
        assert arena.run.error.startswith("Stopped on request while waiting for something")
