"""What describes a job on a command line: the options are named as in `JobSpec`."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from datamodules.subset import parse_classes
from jobs.engines.slurm_options import SlurmOptions, parse_extra
from jobs.submission.extras import PLACES, Extras
from jobs.submission.spec import JobSpec


def add_spec_arguments(parser: argparse.ArgumentParser) -> None:
    """What describes a job; the names are those of `JobSpec`."""
    parser.add_argument(
        "architectures", nargs="*", metavar="ARCHITECTURE", help="such as alexnet or resnet18"
    )
    parser.add_argument("--config", type=Path, help="a run's YAML, instead of all the rest")
    parser.add_argument("--source", default=JobSpec.source, help="data source (%(default)s)")
    parser.add_argument("--root", help="folder or address of the data, for a source that needs one")
    parser.add_argument(
        "--recipe",
        type=words,
        default=JobSpec.recipes,
        help="paper, modern or quick; or several: quick,modern",
    )
    parser.add_argument(
        "--learning_rate",
        type=rates,
        default=(),
        metavar="RATE,...",
        help="the recipe's by default; several are tried one by one",
    )
    parser.add_argument("--epochs", type=int, help="the recipe's by default")
    parser.add_argument("--image_size", type=int, default=JobSpec.image_size, help="pixels (%(default)s)")
    parser.add_argument("--batch_size", type=int, help="the recipe's by default")
    parser.add_argument(
        "--accumulate",
        type=int,
        default=JobSpec.accumulate,
        metavar="N",
        help="add up the gradients of N batches before each step (%(default)s)",
    )
    parser.add_argument(
        "--classes",
        type=parse_classes,
        metavar="N|NAME,NAME,...",
        help="the first so many classes, or their names or labels; all by default",
    )
    parser.add_argument("--augmentation", help="such as light or googlenet; the recipe's by default")
    parser.add_argument("--precision", help="such as bf16-mixed or 32-true; what is fast here by default")
    parser.add_argument(
        "--devices", type=devices, default=JobSpec.devices, help="a number, or auto for all (1)"
    )
    parser.add_argument("--seed", type=int, default=JobSpec.seed, help="(%(default)s)")
    parser.add_argument(
        "--num_seeds",
        type=int,
        default=JobSpec.num_seeds,
        metavar="N",
        help="runs of each configuration, with N seeds from --seed on (%(default)s)",
    )
    parser.add_argument("--num_workers", type=int, help="processes that load data; chosen by default")
    parser.add_argument("--mean_image", metavar="FILE", help="subtracted from all images; the mean colour is")
    parser.add_argument(
        "--val_resize", type=int, help="short side of validation images before the crop (256)"
    )
    parser.add_argument(
        "--max_unreadable", type=float, help="images left out at most: a share below 1, or a number (0.01)"
    )
    parser.add_argument(
        "--weights", help="torchvision, a run or a checkpoint file to start from; from scratch by default"
    )
    add_slurm_arguments(parser)
    parser.add_argument(
        "--ema_decay", type=float, help="validate and keep a moving average of the weights, such as 0.9999"
    )
    for name, text in (
        ("scale_learning_rate", "make it proportional to the images of a step (Goyal 2017)"),
        ("compile", "make kernels for the network with torch.compile"),
        ("sync_batchnorm", "normalise over the batches of all GPUs"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument(
        "--option", action="append", default=[], metavar="ARCHITECTURE.NAME=VALUE", help="may be repeated"
    )


def add_slurm_arguments(parser: argparse.ArgumentParser) -> None:
    """What a job asks of a cluster; the names are those of `SlurmOptions`."""
    slurm = parser.add_argument_group("on a Slurm cluster")
    slurm.add_argument("--slurm", action="store_true", help="hand the jobs to the cluster")
    slurm.add_argument("--nodes", type=int, help="machines that work on a job together (1)")
    slurm.add_argument("--gpus_per_node", type=int, help="on each, instead of --devices; none by default")
    slurm.add_argument("--partition", help="the cluster's own by default")
    slurm.add_argument("--time", help="minutes, HH:MM:SS or DAYS-HH:MM:SS; the partition's by default")
    slurm.add_argument("--account", help="who is charged")
    slurm.add_argument(
        "--sbatch",
        type=further,
        metavar='"NAME=VALUE ..."',
        help="further options of sbatch, such as constraint=a100",
    )


def slurm_from(options: argparse.Namespace) -> SlurmOptions | None:
    """What the command line asks of a cluster, None when it asks for none."""
    named = {
        name: getattr(options, name) for name in ("nodes", "gpus_per_node", "partition", "time", "account")
    }
    given = {name: value for name, value in {**named, "extra": options.sbatch}.items() if value is not None}
    return SlurmOptions(**given) if options.slurm or given else None


def spec_from(options: argparse.Namespace) -> JobSpec:
    """What the command line describes. Raises ValueError when an option is not `ARCHITECTURE.NAME=VALUE`."""
    by_architecture: dict[str, dict[str, str]] = {}
    for option in options.option:
        name, equals, value = option.partition("=")
        architecture, dot, name = name.partition(".")
        if not (equals and dot and architecture and name):
            raise ValueError(f"--option {option!r} must read ARCHITECTURE.NAME=VALUE.")
        by_architecture.setdefault(architecture, {})[name] = value
    return JobSpec(
        architectures=tuple(options.architectures),
        source=options.source,
        root=options.root,
        recipes=options.recipe,
        learning_rates=options.learning_rate,
        epochs=options.epochs,
        image_size=options.image_size,
        batch_size=options.batch_size,
        accumulate=options.accumulate,
        classes=options.classes,
        augmentation=options.augmentation,
        precision=options.precision,
        devices=options.devices,
        seed=options.seed,
        num_seeds=options.num_seeds,
        options=by_architecture,
        num_workers=options.num_workers,
        mean_image=absolute(options.mean_image),
        val_resize=options.val_resize,
        max_unreadable=options.max_unreadable,
        weights=absolute(options.weights),
        extras=Extras(**{name: getattr(options, name) for name in PLACES}),
        slurm=slurm_from(options),
    )


def absolute(file: str | None) -> str | None:
    """The same file for a process that works in another folder; what is none, such as a run, stays."""
    return str(Path(file).absolute()) if file and Path(file).is_file() else file


def words(text: str) -> tuple[str, ...]:
    """Words that are separated by commas."""
    return tuple(word for word in map(str.strip, text.split(",")) if word)


def rates(text: str) -> tuple[float, ...]:
    """Numbers that are separated by commas."""
    try:
        return tuple(map(float, words(text)))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be numbers, separated by commas") from None


def further(text: str) -> dict[str, str]:
    """Options of sbatch, as NAME=VALUE."""
    try:
        return parse_extra(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def devices(text: str) -> int | str:
    """A number of devices, or "auto"."""
    if text != "auto" and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto")
    return text if text == "auto" else int(text)


def read_config(options: argparse.Namespace) -> dict[str, Any] | None:
    """What the YAML says that `--config` names, None where it is not given.

    Raises:
        ValueError: The file holds no configuration, or architectures are named beside it.
    """
    if options.config is None:
        return None
    if options.architectures:
        raise ValueError("--config names everything itself; leave out the architectures.")
    try:
        config = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{options.config} cannot be read as YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(config, dict):
        raise ValueError(
            f"{options.config} is not a run's YAML: it has to have the keys trainer, model and data."
        )
    return config
