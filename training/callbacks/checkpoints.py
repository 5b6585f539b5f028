"""When a run is saved, what a checkpoint holds beside Lightning's part, and going on from one exactly."""

import random
import time
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from training.callbacks.averaging import average_in_place
from training.checkpoint_files import BEST, LAST
from training.session import Session

# Of the time, for saving: a network whose checkpoint takes long is saved less often than asked.
MAX_SHARE = 0.02
MONITOR = "val/error_top1"

# Of Lightning's counters: a validation that has not begun.
_NOTHING = {"ready": 0, "completed": 0, "started": 0, "processed": 0}
# And one that was interrupted in its first batch, which Lightning begins anew.
_PENDING = _NOTHING | {"ready": 1, "started": 1}


class Checkpoints(Checkpoint):
    """Saves `LAST` between two optimiser steps and `BEST` after a validation with a lower top-1 error.

    A run that goes on from `LAST` does bit for bit what it would have done without the stop: the checkpoint
    has the random numbers of every process in it, the data module its place among the images, and a
    validation that was due is made up for.

    Args:
        session: Of the run; has the folder.
        interval_s: Seconds between two saves of `LAST`, more where they take long; 0 saves after every step.

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
        """Starts to count the seconds."""
        self._last_save_s = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves `LAST` when it is time."""
        if can_save(trainer, batch_idx) and self._is_due(trainer):
            self.save_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves `BEST` if it is; weights alone, for whoever uses the network."""
        error = trainer.callback_metrics.get(MONITOR)
        if trainer.sanity_checking or error is None or not float(error) < self._best_error:
            return
        self._best_error = float(error)
        began_s = time.monotonic()
        with average_in_place(trainer):  # it is what was validated
            trainer.save_checkpoint(self._session.checkpoint_folder / BEST, weights_only=True)
        self._cost_of_best_s = time.monotonic() - began_s

    def save_last(self, trainer: Trainer) -> None:
        """Saves the run as it is between two steps, in the middle of a validation, or at its end.

        Raises:
            ValueError: Weights are no longer numbers; nothing would be left to go on from.
            StoreUnavailable: It cannot be written; what was saved before is still there.
        """
        began_s = time.monotonic()
        if not is_finite(trainer.lightning_module):
            raise diverged(trainer, self._session, "weights are no longer finite")
        trainer.save_checkpoint(self._session.checkpoint_folder / LAST, weights_only=False)
        self._session.saved_step = trainer.global_step
        self._last_save_s = time.monotonic()
        self._cost_s = self._last_save_s - began_s

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the final state for whoever wants to train on.

        Here, where the processes are still connected and the network is on its device: after the fit
        Lightning has moved it to the CPU, and NCCL would refuse to add up what lies there.
        """
        self.save_last(trainer)

    @property
    def saved_step(self) -> int:
        """The optimiser step that `LAST` is of."""
        return self._session.saved_step

    @property
    def cost_s(self) -> float:
        """Seconds that saving `LAST` takes; at least those of `BEST`, before there was one."""
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
        """Returns the lowest error so far."""
        return {"best_error": self._best_error}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the lowest error so far."""
        self._best_error = state_dict["best_error"]

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds every process's random numbers, and sets Lightning's counters to a moment between steps."""
        mine = read_random(trainer.strategy.root_device)
        of_each = [mine] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(of_each, mine)
        checkpoint["random"] = of_each
        settle(trainer, checkpoint["loops"]["fit_loop"])

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keeps the random numbers until everything that draws some is set up."""
        of_each = checkpoint.get("random", [])
        # With more processes than before there is no "as it would have been" for the new ones.
        self._random = of_each[trainer.global_rank] if trainer.global_rank < len(of_each) else None
        self._session.saved_step = checkpoint["global_step"]
        self._session.note_resume(checkpoint["global_step"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes up the random numbers; the next to draw is the first step."""
        if self._random is not None:
            write_random(self._random, trainer.strategy.root_device)
            self._random = None
        # Otherwise Lightning would leave out the plateau schedule's step at the end of a resumed epoch.
        trainer.fit_loop._restarting = False


def is_finite(module: torch.nn.Module) -> bool:
    """Returns whether all weights and running statistics are numbers; waits for the device once."""
    tensors = [one for one in (*module.parameters(), *module.buffers()) if one.is_floating_point()]
    return not tensors or bool(torch.stack([torch.isfinite(one).all() for one in tensors]).all())


def diverged(trainer: Trainer, session: Session, what: str) -> ValueError:
    """Returns the error of a training that went off, with what to do."""
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    good = f"the last good checkpoint is of step {session.saved_step}"
    saved = good if session.saved_step >= 0 else "no checkpoint was saved before"
    return ValueError(
        f"Training diverged: {what} at step {trainer.global_step}; {saved}; "
        f"try a learning rate below {rate:g}."
    )


def agrees_at(trainer: Trainer) -> bool:
    """Returns whether the processes of a run talk to each other after this step."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return trainer.global_step % max(1, every) == 0


def can_save(trainer: Trainer, batch_idx: int) -> bool:
    """Returns whether a checkpoint of now, after a batch, would tell the whole state.

    Gradients that are being accumulated are in no checkpoint, and an epoch that has ended without a
    validation is not over for Lightning; the next step is as good.
    """
    if trainer.is_last_batch:
        return validates_now(trainer)
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def validates_now(trainer: Trainer) -> bool:
    """Returns whether a validation follows the batch that was trained, or is going on."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    fetcher = trainer.fit_loop._data_fetcher
    if epochs.processed == epochs.ready or fetcher is None:
        return False  # the epoch, or the whole training, is over
    return trainer.validating or trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def settle(trainer: Trainer, loops: dict[str, Any]) -> None:
    """Makes the saved counters those of a moment after a step and before what follows.

    Lightning counts a batch as completed only after the callbacks that save. Going on from there it would
    skip the validation that was due, and of one that was interrupted it would look at the first images
    again instead of the last.
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
    """Returns where this process's random numbers are, in plain data and tensors.

    Those of the device are kept under its type: a run may go on with another kind of device, which has no use
    for them.
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
    """Sets this process's random numbers to where they were."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    words, *rest = state["numpy"]
    np.random.set_state(("MT19937", np.array(words, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
