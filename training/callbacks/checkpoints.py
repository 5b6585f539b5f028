"""Checkpoints of a run: when they are saved, and what they need for an exact continuation."""

import random
import time
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from training.callbacks.averaging import average_in_place
from training.checkpoint_files import BEST, LAST
from training.problems import Diverged, TrainingDiverged
from training.session import Session

# Largest share of the time for saving: if it takes long, checkpoints are saved less often.
MAX_SHARE = 0.02
MONITOR = "val/error_top1"

# Lightning's counters of a validation that has not started,
_NOTHING = {"ready": 0, "completed": 0, "started": 0, "processed": 0}
# and of one that was interrupted in its first batch, which Lightning restarts.
_PENDING = _NOTHING | {"ready": 1, "started": 1}


class Checkpoints(Checkpoint):
    """A callback that saves `LAST` between steps, and `BEST` after a validation with a lower top-1 error.

    A run that continues from `LAST` gives bit for bit the results of an uninterrupted one: the checkpoint has
    the random number states of all processes and the position in the data, and a validation that was due is
    run first.

    Args:
        session: The record of the run.
        interval_s: Seconds between two saves of `LAST`, more if they take long; 0 saves after every step.
    """

    def __init__(self, session: Session, interval_s: float) -> None:
        self._session = session
        self._interval_s = interval_s
        self._last_save_s = 0.0
        self._cost_s = 0.0
        self._cost_of_best_s = 0.0
        self._best_error = float("inf")
        self._random: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start the interval."""
        self._last_save_s = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save `LAST` when it is due."""
        if can_save(trainer, batch_idx) and self._is_due(trainer):
            self.save_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save `BEST` after the lowest error so far, without the state of the training."""
        error = trainer.callback_metrics.get(MONITOR)
        if trainer.sanity_checking or error is None or not float(error) < self._best_error:
            return
        self._best_error = float(error)
        began_s = time.monotonic()
        with average_in_place(trainer):  # which was validated
            trainer.save_checkpoint(self._session.checkpoint_folder / BEST, weights_only=True)
        self._cost_of_best_s = time.monotonic() - began_s

    def save_last(self, trainer: Trainer) -> None:
        """Save the state of the run between two steps, in a validation, or at its end.

        Raises:
            TrainingDiverged: Weights are no longer finite, and would replace the last good checkpoint.
            StoreUnavailable: It cannot be written; the previous checkpoint still exists.
        """
        began_s = time.monotonic()
        if not is_finite(trainer.lightning_module):
            raise diverged(trainer, self._session, "weights are no longer finite")
        trainer.save_checkpoint(self._session.checkpoint_folder / LAST, weights_only=False)
        self._session.saved_step = trainer.global_step
        self._last_save_s = time.monotonic()
        self._cost_s = self._last_save_s - began_s

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state, from which training can continue.

        This is done while the processes are connected and the network is on its device: after the fit,
        Lightning has moved it to the CPU, where NCCL cannot reduce it.
        """
        self.save_last(trainer)

    @property
    def saved_step(self) -> int:
        """The optimiser step of `LAST`."""
        return self._session.saved_step

    @property
    def cost_s(self) -> float:
        """Seconds for saving `LAST`; those for `BEST` before there was one."""
        return self._cost_s or self._cost_of_best_s

    def _is_due(self, trainer: Trainer) -> bool:
        if self._interval_s == 0:
            return True
        interval_s = max(self._interval_s, self._cost_s / MAX_SHARE)
        is_due = time.monotonic() - self._last_save_s >= interval_s
        if trainer.world_size == 1:
            return is_due
        return agrees_at(trainer) and trainer.strategy.broadcast(is_due)

    def state_dict(self) -> dict[str, Any]:
        """Return the lowest error so far."""
        return {"best_error": self._best_error}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the lowest error so far."""
        self._best_error = state_dict["best_error"]

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random number states of all processes, and set Lightning's counters; see `settle`."""
        mine = read_random(trainer.strategy.root_device)
        of_each = [mine] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(of_each, mine)
        checkpoint["random"] = of_each
        settle(trainer, checkpoint["loops"]["fit_loop"])

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the random number state until everything that uses random numbers is set up."""
        of_each = checkpoint.get("random", [])
        # With more processes than before, the new ones have no state to restore.
        self._random = of_each[trainer.global_rank] if trainer.global_rank < len(of_each) else None
        self._session.saved_step = checkpoint["global_step"]
        self._session.note_resume(checkpoint["global_step"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the random number state just before the first step."""
        if self._random is not None:
            write_random(self._random, trainer.strategy.root_device)
            self._random = None
        # Otherwise Lightning would skip the step of the plateau schedule at the end of a resumed epoch.
        trainer.fit_loop._restarting = False


def is_finite(module: torch.nn.Module) -> bool:
    """Return whether all weights and running statistics are finite; this waits for the device once."""
    tensors = [one for one in (*module.parameters(), *module.buffers()) if one.is_floating_point()]
    return not tensors or bool(torch.stack([torch.isfinite(one).all() for one in tensors]).all())


def diverged(trainer: Trainer, session: Session, what: str) -> TrainingDiverged:
    """Return the error for a training that diverged.

    Args:
        trainer: The trainer.
        session: The record of the run.
        what: What is no longer finite, such as "the loss is nan".
    """
    return TrainingDiverged(
        Diverged.WITHOUT_CHECKPOINT if session.saved_step < 0 else Diverged.WITH_CHECKPOINT,
        what=what,
        step=trainer.global_step,
        saved_step=session.saved_step,
        learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
    )


def agrees_at(trainer: Trainer) -> bool:
    """Return whether the processes of a run communicate about saving and logging after this step."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return trainer.global_step % max(1, every) == 0


def can_save(trainer: Trainer, batch_idx: int) -> bool:
    """Return whether a checkpoint after this batch would have the complete state.

    Accumulated gradients are not in checkpoints, and Lightning has not finished an epoch that ended without a
    validation; the checkpoint is then saved after the next step.
    """
    if trainer.is_last_batch:
        return validates_now(trainer)
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def validates_now(trainer: Trainer) -> bool:
    """Return whether a validation follows the current batch, or is running."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    fetcher = trainer.fit_loop._data_fetcher
    if epochs.processed == epochs.ready or fetcher is None:
        return False  # the epoch, or the whole training, is over
    return trainer.validating or trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def settle(trainer: Trainer, loops: dict[str, Any]) -> None:
    """Set the saved counters to between a step and what follows it.

    Lightning counts a batch as completed only after the callbacks that save. A run continued from there would
    skip a validation that was due, and after an interrupted one it would use the first images again instead
    of the last.
    """
    batches = loops["epoch_loop.batch_progress"]
    is_validation_due = validates_now(trainer)
    if batches["current"]["completed"] < batches["current"]["processed"] and not is_validation_due:
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] += 1
    for counts in (batches["total"], batches["current"]):
        counts["completed"] = counts["processed"]
    validation = dict(_PENDING if is_validation_due else _NOTHING)
    loops["epoch_loop.val_loop.batch_progress"] |= {"total": validation, "current": dict(validation)}


def read_random(device: torch.device) -> dict[str, Any]:
    """Return the random number state of this process as plain data and tensors.

    The state of the device has the device's type as key: a run that continues on another type ignores it.
    """
    _, words, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": [np.asarray(words).tolist(), *rest],
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def write_random(state: dict[str, Any], device: torch.device) -> None:
    """Restore the random number state of this process."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    words, *rest = state["numpy"]
    np.random.set_state(("MT19937", np.array(words, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
