"""Errors in a training process: one sentence in the run, and the last good state is kept."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.faults.test_power_cut import family
from tests.training.conftest import Arena
from tests.training.test_resume import SETTINGS, attempts, callbacks, new_run
from tracking import runs
from tracking.runs import Run
from tracking.store import Store
from training.checkpoint_files import find_newest
from training.problems import FAILURE, Failure

Observed = Callable[[str], None]
Misfortunes = dict[str, tuple[Arena, Run]]

# What happens, how the process ends, and the record.
MISFORTUNES = {
    "memory": (1, "FAILED"),
    "worker": (1, "FAILED"),
    "numbers": (2, "FAILED"),
    "stop while saving": (130, "KILLED"),
}


@pytest.fixture(scope="module")
def shared(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Misfortunes:
    """All of them in one process, to import only once."""
    root = tmp_path_factory.mktemp("misfortunes") / "mlruns"
    shutil.copytree(prepared_root, root)
    arena = Arena(Store(root).open())
    arena.environment |= {"OMP_NUM_THREADS": "1"}
    ids = {what: new_run(arena, what) for what in MISFORTUNES}
    settings = [*SETTINGS, *callbacks("Misfortune"), "--data.num_workers", "2"]
    settings += ["--checkpoint_interval_s", "0"]
    attempts(
        arena,
        [code for code, _ in MISFORTUNES.values()],
        *(([*settings, "--run_id", ids[what]], {"MISFORTUNE": what}) for what in MISFORTUNES),
    )
    return {what: (arena, runs.get_run(arena.store, run_id)) for what, run_id in ids.items()}


def saved_step(arena: Arena, run: Run) -> int:
    newest, damaged = find_newest(arena.store.checkpoint_folder(run.run_id))
    assert newest is not None and not damaged
    checkpoint = torch.load(newest, weights_only=True)
    assert all(torch.isfinite(one).all() for one in checkpoint["state_dict"].values())
    return int(checkpoint["global_step"])


@pytest.mark.fault("out of memory in a step", "FAILED with the cause and a batch size to try")
def test_out_of_memory(shared: Misfortunes, observed: Observed) -> None:
    arena, run = shared["memory"]
    assert run.status == "FAILED" and run.tags["job.retry_batch"] == "8"
    assert run.tags[FAILURE] == Failure.OUT_OF_MEMORY
    assert saved_step(arena, run) == 3
    observed(run.error)


@pytest.mark.fault("kill -9 of a process that loads images", "FAILED with the cause and a remedy")
def test_a_loader_worker_is_killed(shared: Misfortunes, observed: Observed) -> None:
    arena, run = shared["worker"]
    assert run.status == "FAILED" and "job.retry_batch" not in run.tags
    assert run.tags[FAILURE] == Failure.LOADER_DIED and "died (killed)" in run.error
    assert saved_step(arena, run) >= 3
    observed(run.error)


@pytest.mark.fault("weights become NaN", "FAILED with the step; the last good checkpoint is kept")
def test_weights_that_are_no_numbers(shared: Misfortunes, observed: Observed) -> None:
    arena, run = shared["numbers"]
    assert run.status == "FAILED" and run.tags[FAILURE] == Failure.NAN
    assert "at step 4; the last good checkpoint is of step 3" in run.error
    assert saved_step(arena, run) == 3
    observed(run.error)


@pytest.mark.fault("stop while a checkpoint is saved", "the save is completed, then KILLED")
def test_a_stop_while_saving(shared: Misfortunes) -> None:
    arena, run = shared["stop while saving"]
    assert run.status == "KILLED" and run.error == ""
    assert 1 <= saved_step(arena, run) <= 2


@pytest.mark.fault(
    "out of memory in one DDP rank", "FAILED with the rank and a batch size to try; all ranks end"
)
def test_one_rank_fails(arena: Arena, observed: Observed) -> None:
    arena.environment |= {"OMP_NUM_THREADS": "1", "MISFORTUNE": "memory of a rank"}
    settings = [*SETTINGS, *callbacks("Misfortune"), "--trainer.devices", "2", "--trainer.strategy", "ddp"]
    done = arena.fit(*settings)
    assert (done.returncode, arena.run.status) == (1, "FAILED"), done.stderr
    assert arena.run.error.startswith("Rank 1: ") and arena.run.tags[FAILURE] == Failure.OUT_OF_MEMORY
    assert arena.run.tags["job.retry_batch"] == "8"
    assert family(arena.store) == []
    observed(arena.run.error)
