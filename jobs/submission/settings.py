"""The table of all settings of a training job.

The command line, the YAML of a run, the equivalent command, the launch form with its address, and cloning are
all derived from this table. Each entry sets a constructor argument of Lightning's Trainer, of
`ImageClassifier` or of `ImageNetDataModule`, which validates the value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jobs.submission.kinds import (
    BatchOptions,
    Classes,
    Devices,
    File,
    Kind,
    Real,
    Several,
    Switch,
    Whole,
)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: The name of the option, the form's field and the parameter in the form's address.
        kind: The kind of its value.
        place: The key in the YAML of a run, such as ``trainer.max_epochs``.
        default: The default value; with None, the training process chooses one.
        help: The help text on the command line and the form.
        label: The label on the form, empty if the form has no field for it.
        hint: The placeholder of an empty field on the form.
        panel: The part of the form with its standard field: ``images`` or ``training``, which are collapsed,
            or ``cluster``; empty for a setting with its own widget.
        is_always_written: Whether the YAML contains it even with its default value.
        of_recipe: The attribute of the recipe that replaces None.
    """

    name: str
    kind: Kind
    place: str
    default: Any = None
    help: str = ""
    label: str = ""
    hint: str = ""
    panel: Literal["", "images", "training", "cluster"] = ""
    is_always_written: bool = False
    of_recipe: str = ""

    @property
    def shown_default(self) -> str:
        """The default as text, empty if there is none to show."""
        is_shown = self.default not in (None, ()) and self.default is not False
        return self.kind.write(self.default) if is_shown else ""

    def read(self, text: str) -> Any:
        """Read a value as a user has entered it; empty text means the default.

        Raises:
            InvalidValue: The text is not a valid value.
        """
        return self.kind.parse(text) if text.strip() else self.default

    def find(self, config: Mapping[str, Any]) -> Any:
        """Return the value in the YAML of a run, None if it is missing."""
        found: Any = config
        for key in self.place.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


SETTINGS: tuple[Setting, ...] = (
    Setting("source", Kind(), "data.source", "digits", "the data source", is_always_written=True),
    Setting("root", Kind(), "data.root", help="the folder or address of the data", is_always_written=True),
    Setting(
        "recipe",
        Several(),
        "model.recipe",
        ("quick",),
        "the training recipe: paper, modern or quick; with several, each network is trained with each",
    ),
    Setting(
        "learning_rate",
        Several(Real(0, is_open=True, wanted="a number above 0")),
        "model.learning_rate",
        (),
        "the peak learning rate of the schedule; default: that of the recipe; with several, one job is "
        "submitted for each",
    ),
    Setting(
        "epochs",
        Whole(1, 10_000),
        "trainer.max_epochs",
        help="the number of passes over the training images; default: that of the recipe",
        label="Epochs",
        is_always_written=True,
        of_recipe="epochs",
    ),
    Setting(
        "image_size",
        Whole(8, 1024),
        "data.image_size",
        64,
        "the height and width of the images in pixels",
        "Image size, px",
        is_always_written=True,
    ),
    Setting(
        "classes",
        Classes(),
        "data.classes",
        help="the number of classes to use, or their names or labels; default: all",
        is_always_written=True,
    ),
    Setting(
        "batch_size",
        Whole(1, 8192),
        "data.batch_size",
        help="the number of images per batch on each device; default: that of the recipe",
        label="Batch size",
        is_always_written=True,
        of_recipe="batch_size",
    ),
    Setting(
        "accumulate",
        Whole(1, 1024),
        "trainer.accumulate_grad_batches",
        1,
        "the number of batches whose gradients are accumulated before each optimiser step: the effect of a "
        "larger batch in the memory of a small one",
        "Batches per step",
    ),
    Setting(
        "precision",
        Kind(),
        "trainer.precision",
        help="the precision, such as bf16-mixed or 32-true; default: the fastest on the device",
    ),
    Setting("devices", Devices(1, 64), "trainer.devices", 1, "the number of devices, or auto for all"),
    Setting("seed", Whole(0, 2**31 - 1), "seed_everything", 0, "the seed of the first run", "First seed"),
    Setting(
        "num_seeds",
        Whole(1, 100),
        "",
        1,
        "the number of runs per configuration, with consecutive seeds; the Runs page shows their mean and "
        "spread",
        "Number of seeds",
    ),
    Setting(
        "augmentation",
        Kind(),
        "data.augmentation",
        help="the augmentation of training images, such as light or googlenet; default: that of the recipe",
        is_always_written=True,
    ),
    Setting(
        "num_workers",
        Whole(0, 128),
        "data.num_workers",
        help="the number of data loader workers per device; default: chosen automatically",
        label="Workers",
        hint="automatic",
        is_always_written=True,
    ),
    Setting(
        "mean_image",
        File(),
        "data.mean_image",
        help="a file written by `python -m datamodules mean` for this image size; the papers of AlexNet and "
        "ResNet subtract it from every image",
        label="Mean image",
        hint="none: the mean colour is subtracted",
        panel="images",
    ),
    Setting(
        "val_resize",
        Whole(224, 2048),
        "data.val_resize",
        help="the short side of resized validation images before the center crop, for an image size of 224 "
        "px; other sizes are scaled accordingly; torchvision's V2 weights use 232",
        label="Short side in validation, px",
        hint="256",
        panel="images",
    ),
    Setting(
        "max_unreadable",
        Real(0, wanted="a fraction of the images below 1, such as 0.05, or a number of images"),
        "data.max_unreadable",
        help="the maximum of unreadable images, as a fraction below 1 or a number; they are skipped, counted "
        "and listed, and more of them stop the run",
        label="Unreadable images at most",
        hint="0.01: one in a hundred",
        panel="images",
    ),
    Setting(
        "weights",
        File(),
        "model.weights",
        help="the weights to start from: torchvision, a run or a checkpoint file; default: newly initialised",
    ),
    Setting(
        "ema_decay",
        Real(0, 1, is_open=True, wanted="a number above 0 and below 1, such as 0.9999"),
        "model.ema_decay",
        help="the decay of an exponential moving average of the weights, which is then validated and saved "
        "as the best checkpoint",
        label="Decay of a moving average of the weights",
        hint="none; 0.9999 is usual",
        panel="training",
    ),
    Setting(
        "scale_learning_rate",
        Switch(),
        "model.scale_learning_rate",
        False,
        "scale the learning rate linearly with the images per step (Goyal et al., 2017)",
        "Scale the learning rate with the images per step",
        panel="training",
    ),
    Setting(
        "compile",
        Switch(),
        "model.compile",
        False,
        "compile the network with torch.compile",
        "Compile the network (torch.compile)",
        panel="training",
    ),
    Setting(
        "sync_batchnorm",
        Switch(),
        "trainer.sync_batchnorm",
        False,
        "synchronise batch normalisation between all GPUs",
        "Synchronise batch normalisation between GPUs",
        panel="training",
    ),
    Setting("slurm", Switch(), "slurm", False, "submit the jobs to the Slurm cluster"),
    Setting(
        "nodes",
        Whole(1, 4096),
        "trainer.num_nodes",
        1,
        "the number of nodes per job",
        "Nodes",
        panel="cluster",
    ),
    Setting(
        "gpus_per_node",
        Whole(0, 64),
        "slurm.gpus_per_node",
        0,
        "the number of GPUs per node, with one process each; with 0, one process per device is started",
        "GPUs per node",
        panel="cluster",
    ),
    Setting(
        "partition",
        Kind(),
        "slurm.partition",
        help="the partition; default: that of the cluster",
        label="Partition",
        hint="the cluster's default",
        panel="cluster",
    ),
    Setting(
        "account",
        Kind(),
        "slurm.account",
        help="the account to charge; default: that of the cluster",
        label="Account",
        hint="the cluster's default",
        panel="cluster",
    ),
    Setting(
        "time",
        Kind(),
        "slurm.time",
        help="the time limit in minutes, HH:MM:SS or DAYS-HH:MM:SS, such as 1-12:00:00",
        label="Time limit",
        hint="the cluster's default",
        panel="cluster",
    ),
    Setting(
        "sbatch",
        BatchOptions(),
        "slurm.extra",
        help="additional options of sbatch by their long names, such as constraint=a100 mem=64G",
        label="Additional options of sbatch",
        hint="constraint=a100 mem=64G",
        panel="cluster",
    ),
)


def setting(name: str) -> Setting:
    """Return a setting by its name."""
    return next(one for one in SETTINGS if one.name == name)


def settings_of(panel: str) -> list[Setting]:
    """Return the settings that a part of the form shows, in their order."""
    return [one for one in SETTINGS if one.panel == panel]
