"""The command line for training: arguments, defaults, and the callbacks that are added to the Trainer."""

import sys
from typing import Any

import yaml
from jsonargparse import Namespace
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.plugins.environments import SLURMEnvironment

from datamodules.imagenet import ImageNetDataModule
from lightning_modules.classifier import ImageClassifier
from lightning_modules.recipes import scale_learning_rate
from problems import InvalidValue, Problem
from training.callbacks.averaging import MovingAverage
from training.callbacks.checkpoints import Checkpoints
from training.callbacks.pacing import Pacing
from training.callbacks.recorder import RunRecorder
from training.callbacks.stopping import GracefulStop, watch_requests
from training.callbacks.validation import SharedValidation
from training.checkpoint_files import CheckpointFiles, find_newest, keep_one
from training.hardware import check_accelerator, check_trainer, choose_precision, use_tensor_cores
from training.logger import RunLogger
from training.problems import BadCheckpoint, InvalidSettings
from training.session import Session, is_first
from training.starting import find_weights

CHECKPOINT_INTERVAL_S = 60.0


class ArenaCLI(LightningCLI):
    """``python -m training fit --config run.yaml``: one run, recorded in MLflow from start to end.

    Args:
        session: The record of the run.
        args: The arguments, for calls from Python; those of ``sys.argv`` by default.
    """

    def __init__(self, session: Session, args: list[str] | None = None) -> None:
        self.session = session
        super().__init__(
            ImageClassifier,
            ImageNetDataModule,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            trainer_defaults={
                "max_epochs": 1,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                # In a log file it would overwrite itself; the recorder prints lines there.
                "enable_progress_bar": sys.stderr.isatty(),
                # The datamodule distributes the images over the processes itself.
                "use_distributed_sampler": False,
            },
            args=args,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return only ``fit``: each process trains one run."""
        return {name: skip for name, skip in LightningCLI.subcommands().items() if name == "fit"}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the arguments of a run, and link those of the network to those of the data."""
        link_data_to_model(parser)
        parser.add_argument(
            "--run_id",
            type=str | None,
            default=None,
            help="MLflow run to write to; it continues from its newest complete checkpoint",
        )
        add_checkpoint_interval(parser)
        add_cluster_options(parser)

    def before_instantiate_classes(self) -> None:
        """Open the record first, so that all later failures are recorded."""
        config = self.config[self.subcommand]
        parser = self._parser(self.subcommand)
        settings = yaml.safe_load(parser.dump(config, skip_none=False, skip_link_targets=True))
        changed = yaml.safe_load(parser.dump(config, skip_default=True))
        shown = {
            "seed_everything": settings["seed_everything"],
            "model": settings["model"],
            "data": settings["data"],
        }
        shown["trainer"] = {key: settings["trainer"][key] for key in ("max_epochs", "accelerator", "devices")}
        shown["trainer"] |= changed.get("trainer", {})
        if config.checkpoint_interval_s < 0:
            interval_s = config.checkpoint_interval_s
            raise InvalidValue(InvalidSettings.CHECKPOINT_INTERVAL, checkpoint_interval_s=interval_s)
        self.session.batch_size = config.data.batch_size
        self.session.begin(shown, config.run_id)
        if is_first():
            watch_requests(self.session)
        if config.run_id and config.ckpt_path is None:
            self._resume(config)
        if config.model.weights is not None:
            config.model.weights, run_id = find_weights(self.session.store, config.model.weights)
            if run_id:
                self.session.describe({"weights.run": run_id})

    def _resume(self, config: Namespace) -> None:
        """Continue an interrupted run from its checkpoint, which includes its starting weights."""
        checkpoint, damaged = find_newest(self.session.checkpoint_folder)
        if checkpoint:
            config.ckpt_path, config.weights_only, config.model.weights = str(checkpoint), True, None
        if damaged:
            notes = [str(Problem(BadCheckpoint.DAMAGED, file=file)) for file in damaged]
            self.session.note_damage(notes if checkpoint else [*notes, BadCheckpoint.NONE_LEFT.value])

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the precision, logger and callbacks that the configuration does not set."""
        config = self._get(self.config_init, "trainer")
        kwargs = {
            "logger": RunLogger(self.session),
            "default_root_dir": str(self.session.store.root),
        } | kwargs
        check_accelerator(config["accelerator"])
        if config["precision"] is None:
            kwargs["precision"] = choose_precision(config["accelerator"])
        if config["benchmark"] is None and not config["deterministic"]:
            kwargs["benchmark"] = True  # cuDNN tries its algorithms once for each of the few shapes
        given = config["callbacks"] or []
        config["callbacks"] = [*(given if isinstance(given, list) else [given]), *self._callbacks()]
        given = config["plugins"] or []
        config["plugins"] = [*(given if isinstance(given, list) else [given]), CheckpointFiles()]
        if SLURMEnvironment.detect():
            # Lightning does not requeue the job: jobs.engines.slurm does.
            config["plugins"].append(SLURMEnvironment(auto_requeue=False))
        return super().instantiate_trainer(**kwargs)

    def _callbacks(self) -> list[Callback]:
        self.checkpoints = Checkpoints(self.session, self._get(self.config_init, "checkpoint_interval_s"))
        decay = self._get(self.config, "model.ema_decay")
        return [
            *(
                [] if decay is None else [MovingAverage(decay)]
            ),  # first, so that a checkpoint after a step includes its update
            SharedValidation(),
            RunRecorder(self.session),
            Pacing(self.session, self.checkpoints),
            GracefulStop(self.session, self.checkpoints),
            self.checkpoints,
        ]

    def before_fit(self) -> None:
        """Set the augmentation of the recipe, scale its learning rate if configured, and check the hardware.

        Raises:
            InvalidValue: The settings are not possible on this machine.
        """
        assert isinstance(self.datamodule, ImageNetDataModule) and isinstance(self.model, ImageClassifier)
        self.datamodule.augmentation = self.datamodule.augmentation or self.model.recipe.augmentation
        if self.model.hparams["scale_learning_rate"]:
            images = (
                self.datamodule.batch_size * self.trainer.accumulate_grad_batches * self.trainer.world_size
            )
            self.model.recipe = scale_learning_rate(self.model.recipe, images)
        use_tensor_cores(self.trainer.strategy.root_device)
        check_trainer(
            self.trainer,
            sync_batchnorm=self._get(self.config, "trainer.sync_batchnorm"),
            compile=self.model.hparams["compile"],
        )

    def after_fit(self) -> None:
        """Delete the checkpoint that only an interrupted run needs; the final state is already saved."""
        if self.trainer.is_global_zero:
            keep_one(self.session.checkpoint_folder)


def link_data_to_model(parser: LightningArgumentParser) -> None:
    """Link the number of classes and the image size of the network to the data."""
    parser.link_arguments("data.image_size", "model.image_size")
    parser.link_arguments("data.num_classes", "model.num_classes", apply_on="instantiate")
    parser.link_arguments("seed_everything", "data.seed", compute_fn=int)


def add_checkpoint_interval(parser: LightningArgumentParser) -> None:
    """Add the option for the interval between checkpoints."""
    parser.add_argument(
        "--checkpoint_interval_s",
        type=float,
        default=CHECKPOINT_INTERVAL_S,
        help="seconds between checkpoints, more if saving takes long; 0 saves after every step",
    )


def add_cluster_options(parser: LightningArgumentParser) -> None:
    """Add the resources to request from a cluster, which the training itself ignores."""
    parser.add_argument(
        "--slurm", type=dict[str, Any] | None, default=None, help="see jobs.engines.slurm_options"
    )
