"""Every setting of a training job, one entry each.

The command line, a run's YAML, the command that does the same, the launch form with its address, and cloning
all follow from this table. What an entry sets is a constructor argument of Lightning's Trainer, of
`ImageClassifier` or of `ImageNetDataModule`, which checks it.
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
        name: Of the option, the form's field and its part of the address.
        kind: What its value can be.
        place: Where it stands in a run's YAML, such as ``trainer.max_epochs``.
        default: What it is where nobody says otherwise; None leaves it to the training process.
        help: For the command line and the form.
        label: On the form; an entry without one is no field of the form.
        hint: What the form shows in an empty field.
        panel: The part of the form that shows it in the usual way: ``images`` or ``training``, which are
            folded up, or ``cluster``; one with a widget of its own has none.
        is_always_written: Whether the YAML names it at its default, too.
        of_recipe: What of the recipe stands in for None.
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
        """The default in words, empty where there is none to show."""
        is_shown = self.default not in (None, ()) and self.default is not False
        return self.kind.write(self.default) if is_shown else ""

    def read(self, text: str) -> Any:
        """Read a value as somebody has typed it; the default where it is empty.

        Raises:
            ValueError: It is no such value; one sentence.
        """
        return self.kind.parse(text) if text.strip() else self.default

    def find(self, config: Mapping[str, Any]) -> Any:
        """Return what a run's YAML says, None where it says nothing."""
        found: Any = config
        for key in self.place.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


SETTINGS: tuple[Setting, ...] = (
    Setting("source", Kind(), "data.source", "digits", "data source", is_always_written=True),
    Setting("root", Kind(), "data.root", help="folder or address of the data", is_always_written=True),
    Setting(
        "recipe",
        Several(),
        "model.recipe",
        ("quick",),
        "paper, modern or quick; of several, each network is trained with each",
    ),
    Setting(
        "learning_rate",
        Several(Real(0, is_open=True, wanted="a number above 0")),
        "model.learning_rate",
        (),
        "the highest, before the schedule; the recipe's by default, of several each is a job of its own",
    ),
    Setting(
        "epochs",
        Whole(1, 10_000),
        "trainer.max_epochs",
        help="passes over the training images; the recipe's by default",
        label="Epochs",
        is_always_written=True,
        of_recipe="epochs",
    ),
    Setting(
        "image_size",
        Whole(8, 1024),
        "data.image_size",
        64,
        "height and width of the images in pixels",
        "Image size, px",
        is_always_written=True,
    ),
    Setting(
        "classes",
        Classes(),
        "data.classes",
        help="the first so many classes, or their names or labels; all by default",
        is_always_written=True,
    ),
    Setting(
        "batch_size",
        Whole(1, 8192),
        "data.batch_size",
        help="images at once on each device; the recipe's by default",
        label="Batch size",
        is_always_written=True,
        of_recipe="batch_size",
    ),
    Setting(
        "accumulate",
        Whole(1, 1024),
        "trainer.accumulate_grad_batches",
        1,
        "batches whose gradients are added up before each step: as if the batch were larger, in the memory "
        "of one",
        "Batches a step",
    ),
    Setting("precision", Kind(), "trainer.precision", help="such as bf16-mixed or 32-true; the fastest here"),
    Setting("devices", Devices(1, 64), "trainer.devices", 1, "a number, or auto for all"),
    Setting("seed", Whole(0, 2**31 - 1), "seed_everything", 0, "of the first run", "First seed"),
    Setting(
        "num_seeds",
        Whole(1, 100),
        "",
        1,
        "runs of each configuration, each with the next seed; the Runs page shows their mean and spread",
        "How many seeds",
    ),
    Setting(
        "augmentation",
        Kind(),
        "data.augmentation",
        help="what happens to training images, such as light or googlenet; the recipe's by default",
        is_always_written=True,
    ),
    Setting(
        "num_workers",
        Whole(0, 128),
        "data.num_workers",
        help="processes that read images for each device; chosen by default",
        label="Workers",
        hint="automatic",
        is_always_written=True,
    ),
    Setting(
        "mean_image",
        File(),
        "data.mean_image",
        help="a file that `python -m datamodules mean` has written for this size; AlexNet's and ResNet's "
        "papers subtract it from every image",
        label="Mean image",
        hint="none: the mean colour is subtracted",
        panel="images",
    ),
    Setting(
        "val_resize",
        Whole(224, 2048),
        "data.val_resize",
        help="short side of validation images, of which the center of 224 px is cut out, in proportion at "
        "other sizes; torchvision's second weights want 232",
        label="Short side in validation, px",
        hint="256",
        panel="images",
    ),
    Setting(
        "max_unreadable",
        Real(0, wanted="a share of the images below 1, such as 0.05, or a number of images"),
        "data.max_unreadable",
        help="images that may be unreadable, a share below 1 or a number: they are left out, counted and "
        "named; more of them stop the run",
        label="Unreadable images at most",
        hint="0.01: one in a hundred",
        panel="images",
    ),
    Setting(
        "weights",
        File(),
        "model.weights",
        help="torchvision, a run or a checkpoint file to start from; newly initialised by default",
    ),
    Setting(
        "ema_decay",
        Real(0, 1, is_open=True, wanted="a number above 0 and below 1, such as 0.9999"),
        "model.ema_decay",
        help="decay of a moving average of the weights, which is then validated and kept as the best "
        "checkpoint",
        label="Decay of a moving average of the weights",
        hint="none; 0.9999 is usual",
        panel="training",
    ),
    Setting(
        "scale_learning_rate",
        Switch(),
        "model.scale_learning_rate",
        False,
        "make the learning rate proportional to the images of a step (Goyal 2017)",
        "Learning rate in proportion to the images of a step",
        panel="training",
    ),
    Setting(
        "compile",
        Switch(),
        "model.compile",
        False,
        "make kernels for the network with torch.compile",
        "Compile the network (torch.compile)",
        panel="training",
    ),
    Setting(
        "sync_batchnorm",
        Switch(),
        "trainer.sync_batchnorm",
        False,
        "normalise over the batches of all GPUs",
        "Batch normalisation over all devices (GPUs)",
        panel="training",
    ),
    Setting("slurm", Switch(), "slurm", False, "submit the jobs to the Slurm cluster"),
    Setting(
        "nodes",
        Whole(1, 4096),
        "trainer.num_nodes",
        1,
        "machines that work on a job together",
        "Nodes",
        panel="cluster",
    ),
    Setting(
        "gpus_per_node",
        Whole(0, 64),
        "slurm.gpus_per_node",
        0,
        "GPUs on each node, with one process for each; with 0, as many processes as devices",
        "GPUs a node",
        panel="cluster",
    ),
    Setting(
        "partition",
        Kind(),
        "slurm.partition",
        help="the cluster's own by default",
        label="Partition",
        hint="the cluster's own",
        panel="cluster",
    ),
    Setting(
        "account",
        Kind(),
        "slurm.account",
        help="who is charged; the cluster's own by default",
        label="Account",
        hint="the cluster's own",
        panel="cluster",
    ),
    Setting(
        "time",
        Kind(),
        "slurm.time",
        help="limit in minutes, HH:MM:SS or DAYS-HH:MM:SS, such as 1-12:00:00",
        label="Time limit",
        hint="the cluster's own",
        panel="cluster",
    ),
    Setting(
        "sbatch",
        BatchOptions(),
        "slurm.extra",
        help="further options of sbatch by their long names, such as constraint=a100 mem=64G",
        label="Further options of sbatch",
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
