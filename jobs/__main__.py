"""Jobs from a shell: `python -m jobs submit alexnet vgg16 --source digits`, list, stop, logs, supervise."""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import yaml

from datamodules.subset import parse_classes
from jobs import preflight, queue, recovery, requests
from jobs.engines.all import AllEngines
from jobs.engines.slurm_options import SlurmOptions, parse_extra
from jobs.errors import LaunchError
from jobs.extras import PLACES, Extras
from jobs.logs import read_log
from jobs.machine import describe_machine
from jobs.retry import retry
from jobs.shutdown import shutdown
from jobs.spec import JobSpec
from jobs.submit import check_config, submit_group
from jobs.supervisor import (
    ASK_GRACE_S,
    POLL_INTERVAL_S,
    TERM_GRACE_S,
    Supervisor,
    ensure_supervisor,
    find_supervisor,
)
from tracking import runs
from tracking.runs import Run
from tracking.store import Store, StoreUnavailable

WRONG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = parser().parse_args(arguments)
    store = Store.default()
    try:
        options.act(store, options)
    except (LaunchError, StoreUnavailable, ValueError) as error:
        print(error, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m jobs", description="Submit, list and stop training jobs.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("submit", help="queue jobs: networks x recipes x learning rates x seeds")
    add_spec_arguments(command)
    command.add_argument("--hold", action="store_true", help="start nothing before `release`")
    command.add_argument("--anyway", action="store_true", help="also what does not fit, by `check`")
    command.set_defaults(act=submit_jobs)

    command = commands.add_parser("check", help="say whether jobs can work here, and when they would be done")
    add_spec_arguments(command)
    command.add_argument(
        "--try", action="store_true", dest="trial", help="train 20 steps of each and measure"
    )
    command.set_defaults(act=check_jobs)

    command = commands.add_parser("list", help="show the runs, newest first")
    command.add_argument("--all", action="store_true", help="also those beyond the latest 30")
    command.set_defaults(act=list_jobs)

    command = commands.add_parser("stop", help="ask runs to save a checkpoint and stop")
    command.add_argument("runs", nargs="+", metavar="RUN", help="name or beginning of the id")
    command.set_defaults(act=stop_jobs)

    command = commands.add_parser("retry", help="queue a run once more with smaller batches, added up")
    command.add_argument("run", metavar="RUN", help="name or beginning of the id")
    command.add_argument("--batch_size", type=int, help="what the run says would fit, or half")
    command.set_defaults(act=retry_job)

    for name, act, text in (
        ("resume", resume_jobs, "let runs that were stopped, or failed, go on from their checkpoints"),
        ("hold", hold_jobs, "keep waiting runs from starting"),
        ("release", release_jobs, "let held runs start in their turn"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("runs", nargs="+", metavar="RUN", help="name or beginning of the id")
        command.set_defaults(act=act)

    command = commands.add_parser("move", help="move a waiting run in the queue")
    command.add_argument("run", metavar="RUN", help="name or beginning of the id")
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("direction", nargs="?", choices=get_args(queue.Direction), help="where to")
    where.add_argument("--priority", type=int, help="before all of a lower one; 0 unless set")
    where.add_argument("--after", metavar="RUN", help="start when that one has ended, however it did")
    command.set_defaults(act=move_job)

    command = commands.add_parser("logs", help="show what a job has printed")
    command.add_argument("run", metavar="RUN", help="name or beginning of the id")
    command.add_argument("--lines", type=int, default=200, help="how many of the last lines (200)")
    command.add_argument("--follow", action="store_true", help="go on until the job ends")
    command.set_defaults(act=show_log)

    command = commands.add_parser(
        "supervise", help="start and follow the jobs of this store, in the foreground"
    )
    command.add_argument("--ask_grace", type=float, default=ASK_GRACE_S, metavar="S", help="see --term_grace")
    command.add_argument(
        "--term_grace",
        type=float,
        default=TERM_GRACE_S,
        metavar="S",
        help="seconds until SIGTERM, then SIGKILL",
    )
    command.add_argument(
        "--poll", type=float, default=POLL_INTERVAL_S, metavar="S", help="seconds between looks"
    )
    command.add_argument(
        "--max_resumes",
        type=int,
        default=recovery.max_resumes(),
        metavar="N",
        help=f"how often a run that lost its process goes on by itself without a new checkpoint "
        f"(%(default)s; {recovery.SETTING} says so, too)",
    )
    command.set_defaults(act=supervise)

    command = commands.add_parser("shutdown", help="stop all jobs, the supervisor and MLflow's page")
    command.set_defaults(act=shut_down)
    return top


def add_spec_arguments(command: argparse.ArgumentParser) -> None:
    """What describes a job; the names are those of `JobSpec`."""
    command.add_argument(
        "architectures", nargs="*", metavar="ARCHITECTURE", help="such as alexnet or resnet18"
    )
    command.add_argument("--config", type=Path, help="a run's YAML, instead of all the rest")
    command.add_argument("--source", default=JobSpec.source, help="data source (%(default)s)")
    command.add_argument("--root", help="folder or address of the data, for a source that needs one")
    command.add_argument(
        "--recipe",
        type=words,
        default=JobSpec.recipes,
        help="paper, modern or quick; or several: quick,modern",
    )
    command.add_argument(
        "--learning_rate",
        type=rates,
        default=(),
        metavar="RATE,...",
        help="the recipe's by default; several are tried one by one",
    )
    command.add_argument("--epochs", type=int, help="the recipe's by default")
    command.add_argument("--image_size", type=int, default=JobSpec.image_size, help="pixels (%(default)s)")
    command.add_argument("--batch_size", type=int, help="the recipe's by default")
    command.add_argument(
        "--accumulate",
        type=int,
        default=JobSpec.accumulate,
        metavar="N",
        help="add up the gradients of N batches before each step (%(default)s)",
    )
    command.add_argument(
        "--classes",
        type=parse_classes,
        metavar="N|NAME,NAME,...",
        help="the first so many classes, or their names or labels; all by default",
    )
    command.add_argument("--augmentation", help="such as light or googlenet; the recipe's by default")
    command.add_argument("--precision", help="such as bf16-mixed or 32-true; what is fast here by default")
    command.add_argument(
        "--devices", type=devices, default=JobSpec.devices, help="a number, or auto for all (1)"
    )
    command.add_argument("--seed", type=int, default=JobSpec.seed, help="(%(default)s)")
    command.add_argument(
        "--num_seeds",
        type=int,
        default=JobSpec.num_seeds,
        metavar="N",
        help="runs of each configuration, with N seeds from --seed on (%(default)s)",
    )
    command.add_argument("--num_workers", type=int, help="processes that load data; chosen by default")
    command.add_argument(
        "--mean_image", metavar="FILE", help="subtracted from all images; the mean colour is"
    )
    command.add_argument(
        "--val_resize", type=int, help="short side of validation images before the crop (256)"
    )
    command.add_argument(
        "--max_unreadable", type=float, help="images left out at most: a share below 1, or a number (0.01)"
    )
    command.add_argument(
        "--weights", help="torchvision, a run or a checkpoint file to start from; from scratch by default"
    )
    add_slurm_arguments(command)
    command.add_argument(
        "--ema_decay", type=float, help="validate and keep a moving average of the weights, such as 0.9999"
    )
    for name, text in (
        ("scale_learning_rate", "make it proportional to the images of a step (Goyal 2017)"),
        ("compile", "make kernels for the network with torch.compile"),
        ("sync_batchnorm", "normalise over the batches of all GPUs"),
    ):
        command.add_argument(f"--{name}", action="store_true", help=text)
    command.add_argument(
        "--option", action="append", default=[], metavar="ARCHITECTURE.NAME=VALUE", help="may be repeated"
    )


def add_slurm_arguments(command: argparse.ArgumentParser) -> None:
    """What a job asks of a cluster; the names are those of `SlurmOptions`."""
    slurm = command.add_argument_group("on a Slurm cluster")
    slurm.add_argument("--slurm", action="store_true", help="hand the jobs to the cluster")
    slurm.add_argument("--nodes", type=int, help="machines that work on a job together (1)")
    slurm.add_argument("--gpus_per_node", type=int, help="on each, instead of --devices; none by default")
    slurm.add_argument("--partition", help="the cluster's own by default")
    slurm.add_argument("--time", help="minutes, HH:MM:SS or DAYS-HH:MM:SS; the partition's by default")
    slurm.add_argument("--account", help="who is charged")
    slurm.add_argument(
        "--sbatch",
        type=parse_extra,
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


def devices(text: str) -> int | str:
    """A number of devices, or "auto"."""
    if text != "auto" and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto")
    return text if text == "auto" else int(text)


def submit_jobs(store: Store, options: argparse.Namespace) -> None:
    """Check every configuration, then queue them all."""
    if options.config and options.architectures:
        raise ValueError("--config names everything itself; leave out the architectures.")
    configs = [read_yaml(options.config)] if options.config else spec_from(options).configs()
    for config in configs[:1] if options.config else spec_from(options).configurations():
        check_config(config)
    store.open()
    if not (options.config or options.anyway):
        wrong = [answer.text for answer in look_ahead(store, options) if answer.verdict is False]
        if wrong:
            raise LaunchError(f"{' '.join(wrong)} With --anyway they are queued as they are.")
    started = find_supervisor(store) is None
    ensure_supervisor(store)
    if started:
        print(f"Started the supervisor of {store.root}; `python -m jobs shutdown` ends it.", file=sys.stderr)
    for run_id in submit_group(store, configs, held=options.hold):
        print(f"{run_id}  {runs.get_run(store, run_id).name}")


def look_ahead(store: Store, options: argparse.Namespace) -> list[preflight.Answer]:
    """Ask what can be asked before a job is queued."""
    configs = spec_from(options).configs()
    return preflight.check_all(store, configs, describe_machine(), runs.list_ours(store))


def check_jobs(store: Store, options: argparse.Namespace) -> None:
    """Print the answers and what a trial has shown. Raises LaunchError where something will not work."""
    if options.config:
        raise ValueError("check takes no --config; name the architectures and their settings.")
    store.open()
    answers = look_ahead(store, options)
    for answer in answers:
        print_answer(answer)
    _, images = preflight.look_at_data(spec_from(options).configs()[0])
    if options.trial and images is not None:
        for config in replace(spec_from(options), learning_rates=()).configurations():
            answer, _ = preflight.check_trial(store, config, images.classes, describe_machine())
            print_answer(answer)
            answers.append(answer)
    if any(answer.verdict is False for answer in answers):
        raise LaunchError("Not everything will work; what to change is said above.")


def print_answer(answer: preflight.Answer) -> None:
    """Print one line: `yes  Memory  ...`."""
    words = {True: "yes", False: "NO", None: "?"}
    print(f"{words[answer.verdict]:<4} {answer.question:<7} {answer.text}", flush=True)


def read_yaml(file: Path) -> dict[str, Any]:
    """A run's configuration. Raises ValueError when the file holds none."""
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read as YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} is not a run's YAML: it has to have the keys trainer, model and data.")
    return config


def list_jobs(store: Store, options: argparse.Namespace) -> None:
    """Print a table of the runs."""
    found = runs.list_runs(store)
    shown = found if options.all else found[:30]
    rows = [("RUN", "NAME", "STATUS", "PROGRESS", "TIME", "TOP-1 ERROR"), *(table_row(run) for run in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(shown) < len(found):
        print(f"and {len(found) - len(shown)} older ones: --all")


def table_row(run: Run) -> tuple[str, ...]:
    """One line of `list`."""
    error = run.metrics.get("val/error_top1")
    return (
        run.run_id[:8],
        run.name,
        "STOPPING" if run.is_stopping else run.status,
        f"{run.progress:.0%}",
        "" if run.duration_s is None else f"{run.duration_s:.0f} s",
        "" if error is None else f"{error:.2f} %",
    )


def stop_jobs(store: Store, options: argparse.Namespace) -> None:
    """Write the requests; the supervisor sees to them."""
    for run in [runs.find_run(store, name) for name in options.runs]:
        requests.request_stop(store, run.run_id)
        print(f"{run.name} is asked to stop.")
    ensure_supervisor(store)


def resume_jobs(store: Store, options: argparse.Namespace) -> None:
    """Put runs back into the queue."""
    for run in [runs.find_run(store, name) for name in options.runs]:
        requests.resume(store, run.run_id)
        print(f"{run.name} goes on in its turn.")
    ensure_supervisor(store)


def retry_job(store: Store, options: argparse.Namespace) -> None:
    """Queue a run once more."""
    run_id = retry(store, runs.find_run(store, options.run).run_id, options.batch_size)
    ensure_supervisor(store)
    print(f"{run_id}  {runs.get_run(store, run_id).name}")


def hold_jobs(store: Store, options: argparse.Namespace) -> None:
    """Keep runs from starting."""
    for run in [runs.find_run(store, name) for name in options.runs]:
        queue.hold(store, run.run_id)
        print(f"{run.name} waits until it is released.")


def release_jobs(store: Store, options: argparse.Namespace) -> None:
    """Let runs start in their turn."""
    for run in [runs.find_run(store, name) for name in options.runs]:
        queue.release(store, run.run_id)
        print(f"{run.name} starts in its turn.")


def move_job(store: Store, options: argparse.Namespace) -> None:
    """Change the place of a waiting run, and show the queue."""
    run = runs.find_run(store, options.run)
    if options.after is not None:
        queue.start_after(store, run.run_id, runs.find_run(store, options.after).run_id)
    elif options.priority is not None:
        queue.prioritise(store, run.run_id, options.priority)
    else:
        queue.move(store, run.run_id, options.direction)
    active = {one.run_id: one for one in runs.list_runs(store, runs.ACTIVE_STATUSES)}
    for place, one in enumerate(
        queue.line_up(one for one in active.values() if one.status == "SCHEDULED"), 1
    ):
        print(f"{place}  {one.run_id[:8]}  {one.name}  {queue.obstacle(one, active)}")


def show_log(store: Store, options: argparse.Namespace) -> None:
    """Print the log, and what is added to it."""
    run = runs.find_run(store, options.run)
    print(read_log(store, run.run_id, options.lines))
    file = store.log_file(run.run_id)
    position = file.stat().st_size if file.exists() else 0
    while options.follow and runs.get_run(store, run.run_id).is_active:
        time.sleep(0.5)
        if file.exists():
            with file.open(encoding="utf-8", errors="replace") as log:
                log.seek(position)
                print(log.read(), end="", flush=True)
                position = log.tell()


def supervise(store: Store, options: argparse.Namespace) -> None:
    """Be the supervisor."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    store.open()
    Supervisor(
        store,
        AllEngines(store),
        ask_grace_s=options.ask_grace,
        term_grace_s=options.term_grace,
        poll_interval_s=options.poll,
        max_resumes=options.max_resumes,
    ).run()


def shut_down(store: Store, options: argparse.Namespace) -> None:
    """Stop everything that works on this store."""
    for sentence in shutdown(store):
        print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
