"""The questions about a job before it is queued: whether it can work, what to change, when it will end."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.host.machine import Machine, Room, room_of
from jobs.host.slots import slots_of
from jobs.preflight.allowed_paths import check_files
from jobs.preflight.fitting import (
    Config,
    Remedy,
    checkpoint_bytes,
    device_of,
    host_bytes,
    largest_batch,
    need_bytes,
    split,
    step_of,
)
from jobs.preflight.trials import OutOfMemory, Trial, try_out
from jobs.scheduling.forecast import EXPECTED, forecast
from jobs.scheduling.queue import line_up
from tracking import records
from tracking.runs import Run
from tracking.store import Store
from training.batches import step_text


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: The subject in one or two words.
        verdict: Whether it will work, None if that is unknown.
        text: What was found and, if it will not work, what to change.
        remedy: A batch size that would fit into memory.
    """

    question: str
    verdict: bool | None
    text: str
    remedy: Remedy | None = None


@dataclass(frozen=True)
class Images:
    """The number of training images and of classes."""

    train: int
    classes: int


def check_all(store: Store, configs: Sequence[Config], machine: Machine, runs: Sequence[Run]) -> list[Answer]:
    """Answer every question about jobs with the same data.

    Args:
        store: The store for their checkpoints.
        configs: Complete configurations.
        machine: The machine that would train them.
        runs: The active runs of this machine, and all that have ended, newest first.

    Returns:
        The answers. Those about the machine are omitted for a cluster, and if the data cannot be used.
    """
    data, images = look_at_data(configs[0])
    answers = [data, check_size(configs)]
    if images is None or "slurm" in configs[0] or not all(answer.verdict for answer in answers):
        return answers
    return [
        *answers,
        *check_gpu(configs, machine),
        *check_memory(configs, images.classes, machine, runs),
        check_disk(store, configs, images.classes, machine),
        check_time(configs, machine, runs),
    ]


def look_at_data(config: Config) -> tuple[Answer, Images | None]:
    """Open the images as the training process does."""
    from datamodules.imagenet import ImageNetDataModule
    from datamodules.problems import DataError

    try:
        check_files({"data": config["data"]})
        data = ImageNetDataModule(**config["data"])
    except (ValueError, DataError) as problem:
        return Answer("Data", False, str(problem)), None
    images = Images(data.train_images, data.num_classes)
    return Answer("Data", True, f"{images.train:,} training images, {images.classes:,} classes."), images


def check_size(configs: Sequence[Config]) -> Answer:
    """Check whether each network accepts the image size."""
    from lightning_modules import registry

    size = int(configs[0]["data"]["image_size"])
    try:
        for config in configs:
            registry.get(config["model"]["architecture"]).check_size(size)
    except ValueError as problem:
        return Answer("Size", False, str(problem))
    return Answer("Size", True, f"Every chosen network accepts images of {size} px.")


def check_gpu(configs: Sequence[Config], machine: Machine) -> list[Answer]:
    """Check whether the installed PyTorch can use the GPUs; return no answer if there is no problem."""
    from training.hardware import find_problem, missing_compiler

    answers = [Answer("GPU", None, machine.problem)] if machine.problem else []
    devices = {device_of(config["trainer"], machine) for config in configs}
    if "cuda" in devices:
        found = (find_problem(gpu.capability, gpu.name, machine.driver) for gpu in machine.gpus)
        answers += [Answer("GPU", False, text) for text in dict.fromkeys(str(one) for one in found if one)]
    if any(config["model"].get("compile") for config in configs):
        missing = {device: missing_compiler(device) for device in devices}
        answers += [
            Answer("Compile", False, f"torch.compile needs {what}; install it or leave compile out.")
            for what in dict.fromkeys(missing.values())
            if what
        ]
    return answers


def check_memory(
    configs: Sequence[Config], num_classes: int, machine: Machine, runs: Sequence[Run] = ()
) -> list[Answer]:
    """Check whether a batch fits into the memory of a device, by the estimate of `ledger.training_memory`.

    On a GPU the estimate has not been verified, so the verdict is None rather than False.

    Args:
        configs: Complete configurations.
        num_classes: The number of classes of their images.
        machine: The machine that would train them.
        runs: The runs of this machine. GPU memory of running jobs counts as free, since they will end before.
    """
    answers = [_check_device_memory(configs, num_classes, machine, runs)]
    on_gpus = [config for config in configs if device_of(config["trainer"], machine) == "cuda"]
    if on_gpus:
        need = max(host_bytes(config, machine) for config in on_gpus)
        fits = need <= machine.memory_bytes
        text = (
            f"Loading images takes about {_size(need)} of the {_size(machine.memory_bytes)} of this machine."
        )
        text += "" if fits else " Use fewer workers or smaller batches."
        answers.append(Answer("Main memory", fits, text))
    return answers


def _check_device_memory(
    configs: Sequence[Config], num_classes: int, machine: Machine, runs: Sequence[Run]
) -> Answer:
    busy = {slot for run in runs if run.status == "RUNNING" for slot in slots_of(run)}
    rooms = [room_of(machine, device_of(config["trainer"], machine), busy) for config in configs]
    room = min(rooms, key=lambda room: room.size_bytes)
    needs = [need_bytes(config, num_classes, machine) for config in configs]
    worst = max(range(len(configs)), key=lambda index: needs[index])
    name = configs[worst]["model"]["architecture"]
    asked = f"{name} with batches of {configs[worst]['data']['batch_size']} takes about {_size(needs[worst])}"
    if not room.size_bytes:
        return Answer("Memory", None, f"{asked}; the memory of {room.name} is unknown.")
    if needs[worst] <= room.size_bytes:
        share = 100 * needs[worst] / room.size_bytes
        return Answer("Memory", True, f"{asked}, {share:.0f} % of {_there(room)}.")
    asked += f", more than {_there(room)}"
    asked += " (an estimate that has not been verified on a GPU)" if room.is_gpu else ""
    verdict = None if room.is_gpu else False
    steps = {step_of(config) for config in configs}
    largest = min(largest_batch(config, num_classes, machine, room.size_bytes) for config in configs)
    if not largest:
        return Answer(
            "Memory",
            verdict,
            f"{asked}. Even a batch of one image does not fit; use smaller images or another network.",
        )
    if len(steps) > 1:
        return Answer(
            "Memory",
            verdict,
            f"{asked}. Batches of {largest} fit for all of these jobs; launch jobs with different numbers of "
            f"images per step separately.",
        )
    step = steps.pop()
    remedy = split(step, largest)
    return Answer("Memory", verdict, f"{asked}. Use {_steps(remedy, step)}.", remedy)


def check_disk(store: Store, configs: Sequence[Config], num_classes: int, machine: Machine) -> Answer:
    """Check whether the checkpoints fit on the disk: the last and best of each job, and one being saved."""
    kept = running = 0
    for config in configs:
        full, weights = checkpoint_bytes(config, num_classes)
        kept += full + weights
        # During training, the previous checkpoint is kept until the next one is complete.
        running = max(running, 2 * full)
    wanted = kept + running * min(len(configs), len(machine.slots))
    free = shutil.disk_usage(store.root).free
    text = f"The checkpoints take about {_size(wanted)}; {_size(free)} are free at {store.root}"
    if wanted <= free:
        return Answer("Disk", True, f"{text}.")
    return Answer(
        "Disk",
        False,
        f"{text}. Delete runs with their checkpoints, launch fewer jobs at once, or move the store to a "
        f"larger disk (ARENA_MLRUNS).",
    )


def check_trial(
    store: Store, config: Config, num_classes: int, machine: Machine
) -> tuple[Answer, Trial | None]:
    """Train twenty steps and report the measurements.

    Raises:
        LaunchError: No device is free, or the training failed for another reason than memory.
        StoreUnavailable: The store cannot be read.
    """
    name, batch_size = config["model"]["architecture"], int(config["data"]["batch_size"])
    try:
        trial = try_out(store, config)
    except OutOfMemory:
        text = f"{name} with batches of {batch_size} needs more memory than is available."
        if batch_size == 1:
            return Answer("Trial", False, f"{text} Use smaller images or another network."), None
        step = step_of(config)
        remedy = split(step, batch_size // 2)
        return Answer("Trial", False, f"{text} Use {_steps(remedy, step)}.", remedy), None
    speed = "" if trial.images_per_s is None else f"{trial.images_per_s:,.1f} images/s, "
    estimate = need_bytes({**config, "trainer": {**config["trainer"], "devices": 1}}, num_classes, machine)
    return Answer(
        "Trial",
        True,
        f"{name}: {speed}{_size(trial.peak_bytes)} of memory at the peak of {trial.iterations} steps on one "
        f"device (estimated: {_size(estimate)}).",
    ), trial


def check_time(
    configs: Sequence[Config],
    machine: Machine,
    runs: Sequence[Run],
    expected_s: Sequence[float | None] = (),
) -> Answer:
    """Predict when the last of the jobs would end if they were queued now.

    Args:
        configs: Complete configurations in the order of the queue.
        machine: The machine that would train them.
        runs: The active runs of this machine, and all that have ended, newest first.
        expected_s: The duration of each job as estimated by a trial; by default there are no trials.
    """
    new = [
        as_run(config, number, seconds)
        for number, (config, seconds) in enumerate(
            zip(configs, expected_s or [None] * len(configs), strict=True)
        )
    ]
    queued = line_up(run for run in runs if run.status == "SCHEDULED")
    spans = forecast(
        [run for run in runs if run.status == "RUNNING"],
        [*queued, *new],
        [run for run in runs if run.is_terminal],
        machine.slots,
        machine.name,
    )
    ends = [spans[run.run_id].end_s for run in new]
    known = [end_s for end_s in ends if end_s is not None]
    if len(known) < len(ends):
        unknown = sorted({run.architecture for run, end_s in zip(new, ends, strict=True) if end_s is None})
        return Answer(
            "Time",
            None,
            f"Unknown: {', '.join(unknown)}, or a job ahead in the queue, has never been measured on this "
            f"machine. A trial will show it.",
        )
    done_at = time.localtime(time.time() + max(known))
    return Answer(
        "Time", True, f"Finished in about {_duration(max(known))}, {time.strftime('%A %H:%M', done_at)}."
    )


def as_run(config: Config, number: int, expected_s: float | None) -> Run:
    """Return the run that a configuration would be in the queue."""
    return Run(
        run_id=f"new{number}",
        experiment_id="",
        name="",
        status="SCHEDULED",
        created_at=time.time() + number,
        started_at=None,
        ended_at=None,
        params=records.flatten(config),
        tags={} if expected_s is None else {EXPECTED: str(expected_s)},
        metrics={},
        step=0,
    )


def _steps(remedy: Remedy, step: int) -> str:
    made = step_text(remedy.batch_size, remedy.accumulate, step)
    return f"batches of {remedy.batch_size}, {remedy.accumulate} per step: {made}"


def _there(room: Room) -> str:
    return f"the {_size(room.size_bytes)} {'free on' if room.is_gpu else 'of'} {room.name}"


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.1f} GB" if num_bytes >= 0.95 * 2**30 else f"{num_bytes / 2**20:.0f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
