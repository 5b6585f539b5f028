"""Recording of a run while it trains."""

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from datamodules.damage import Unreadable
from lightning_modules.classifier import ImageClassifier
from lightning_modules.ledger import table
from tracking import runs, scaling
from training.callbacks.checkpoints import agrees_at, diverged
from training.session import Session, is_first

FLUSH_INTERVAL_S = 5.0
LINE_INTERVAL_S = 30.0
# Number of unreadable images in the tag; the log names all of them.
MAX_NAMED = 50


class RunRecorder(Callback):
    """A callback that records settings, losses and speed, and ends a run whose loss is no longer finite.

    Losses are summed on the device and read every few seconds, because each read waits for the device, and
    each write for the disk. Under DDP, all processes must read at the same step, given by Lightning's
    ``log_every_n_steps``.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loss_sum: Tensor | None = None
        self._num_steps = 0
        self._num_images = 0
        self._last_flush_s = 0.0
        self._waited_s = 0.0
        self._epoch_start_s = 0.0
        self._last_line_s = 0.0
        self._num_skipped = 0
        self._one_device: scaling.OneDevice | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Send the id of the run to all processes."""
        self._session.run_id = trainer.strategy.broadcast(self._session.run_id)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record what is known only after the data, the device and the network are set up."""
        assert isinstance(pl_module, ImageClassifier)
        hparams: Any = pl_module.hparams
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        sizes = table.measure(
            hparams.architecture, hparams.num_classes, hparams.image_size, **(hparams.options or {})
        )
        batches = int(trainer.num_training_batches)
        steps_per_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
        self._session.describe(
            {
                "network.parameters": sizes.parameters,
                "network.parameters_with_auxiliary": sizes.parameters_with_auxiliary,
                "network.macs": sizes.macs,
                "recipe.optimizer": pl_module.recipe.optimizer,
                "recipe.learning_rate": pl_module.recipe.learning_rate,
                "recipe.weight_decay": pl_module.recipe.weight_decay,
                "recipe.augmentation": data.augmentation,
                "steps_per_epoch": steps_per_epoch,
                "steps_total": int(trainer.estimated_stepping_batches),
                "images_per_step": data.batch_size * trainer.accumulate_grad_batches * trainer.world_size,
                "num_classes": data.num_classes,
                "train_images": data.train_images,
                "val_images": data.val_images,
                "precision": trainer.precision,
                "device": describe_device(pl_module.device),
                "world_size": trainer.world_size,
                "validated_weights": "trained" if hparams.ema_decay is None else "averaged",
            }
        )
        if trainer.is_global_zero:
            self._session.note_manifest(data.manifest)
        if pl_module.start is not None:
            self._session.describe(pl_module.start.record())
            if trainer.is_global_zero:
                omitted = map(str, pl_module.start.omissions)
                print("\n".join((f"Started from {pl_module.start.source}.", *omitted)), flush=True)
        if trainer.is_global_zero and trainer.world_size > 1:
            self._one_device = self._session.note_one_device(
                {"precision": str(trainer.precision), "device": describe_device(pl_module.device)}
            )
        if trainer.is_global_zero and self._session.news:
            print("\n".join(self._session.news), flush=True)
        self._session.step = trainer.global_step
        self._last_flush_s = self._epoch_start_s = self._last_line_s = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Exclude the time between epochs (validation, checkpoints) from the speed."""
        self._last_flush_s = self._epoch_start_s = time.monotonic()
        self._waited_s = trainer.datamodule.waited_s  # type: ignore[attr-defined]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the loss and the images to the sums, and record them when it is due."""
        self._session.step = trainer.global_step
        loss = outputs["loss"].detach()
        self._loss_sum = loss.clone() if self._loss_sum is None else self._loss_sum.add_(loss)
        self._num_steps += 1
        self._num_images += len(batch[1])
        if trainer.is_last_batch or trainer.global_step == trainer.max_steps or self._is_due(trainer):
            self._flush(trainer, pl_module)

    def _is_due(self, trainer: Trainer) -> bool:
        if trainer.world_size > 1:
            return agrees_at(trainer)
        return time.monotonic() - self._last_flush_s >= FLUSH_INTERVAL_S

    def _flush(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert self._loss_sum is not None
        loss = float(trainer.strategy.reduce(self._loss_sum / self._num_steps, reduce_op="mean"))
        now_s = time.monotonic()
        seconds = max(now_s - self._last_flush_s, 1e-9)
        speed = self._num_images * trainer.world_size / seconds
        waited_s = trainer.datamodule.waited_s  # type: ignore[attr-defined]
        learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
        metrics = {"train/loss": loss, scaling.SPEED: speed, "train/learning_rate": learning_rate}
        metrics[runs.DATA_WAIT] = 100 * (waited_s - self._waited_s) / seconds
        if self._one_device is not None:
            metrics[scaling.EFFICIENCY] = self._one_device.efficiency(speed, trainer.world_size)
        if trainer.logger is not None:
            trainer.logger.log_metrics(metrics)
        self._loss_sum, self._num_steps, self._num_images = None, 0, 0
        self._last_flush_s, self._waited_s = now_s, waited_s
        if trainer.is_global_zero and now_s - self._last_line_s >= LINE_INTERVAL_S:
            self._last_line_s = now_s
            total = int(trainer.estimated_stepping_batches)
            print(f"step {trainer.global_step}/{total}: loss {loss:.4f}, {speed:.1f} images/s", flush=True)
        if trainer.world_size > 1:
            self._check_damage(trainer)  # a single process checks every batch
        if not math.isfinite(loss):
            raise diverged(trainer, self._session, f"the loss is {loss}")

    def _check_damage(self, trainer: Trainer) -> None:
        damage = trainer.datamodule.damage  # type: ignore[attr-defined]
        found = gather_damage(damage.found)
        self._note_damage(found)
        damage.check(found)

    def _note_damage(self, found: Sequence[Unreadable]) -> None:
        if len(found) <= self._num_skipped:
            return
        self._num_skipped = len(found)
        names = [image.name for image in found]
        if is_first():
            print("\n".join(f"Skipped: {name}" for name in names), flush=True)
        counts = Counter(image.split for image in found)
        self._session.annotate(
            {
                "data.skipped": str(len(found)),
                "data.skipped_train": str(counts["train"]),
                "data.skipped_val": str(counts["val"]),
                "data.skipped_files": "\n".join(names[:MAX_NAMED]),
            }
        )

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Record the unreadable images, also if they are not why the run ends."""
        self._note_damage(sorted(trainer.datamodule.damage.found))  # type: ignore[attr-defined]

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Record the sums, since a run that continues from this checkpoint starts new ones.

        This is done before the file is written, so that no checkpoint follows a loss that is not finite.
        """
        if self._num_steps:
            self._flush(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the rest of an epoch that was cut short."""
        if self._num_steps:
            self._flush(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the unreadable images, and print the results of the epoch to the job's log.

        Raises:
            DataError: Too many images could not be read.
        """
        if trainer.sanity_checking:
            return
        self._check_damage(trainer)
        figures = trainer.callback_metrics
        if trainer.is_global_zero and "val/error_top1" in figures:
            seconds = time.monotonic() - self._epoch_start_s
            print(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
                f"val loss {figures['val/loss']:.4f}, top-1 error {figures['val/error_top1']:.2f} %, "
                f"top-5 error {figures['val/error_top5']:.2f} %, {seconds:.1f} s",
                flush=True,
            )


def gather_damage(found: set[Unreadable]) -> list[Unreadable]:
    """Return the unreadable images of all processes, sorted; all processes must call this."""
    if not torch.distributed.is_initialized():
        return sorted(found)
    of_each: list[set[Unreadable]] = [set()] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(of_each, found)
    return sorted(set().union(*of_each))


def describe_device(device: torch.device) -> str:
    """Return the name of a device, such as ``NVIDIA H200`` or ``cpu (2 threads)``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return device.type
