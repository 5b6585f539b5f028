"""What a job takes of memory and disk, and the largest batch that fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.host.machine import Machine
from jobs.host.slots import kind_of, slots_for
from training import batches

Config = Mapping[str, Any]

# What a process has before it holds a network: Python with its libraries, measured on a CPU.
BASE_BYTES = 800 * 2**20
# Of a GPU, all of them estimates that nobody has measured yet: CUDA's context, by card and driver 300 to 600
# MB; what cuDNN works in; and what NCCL sends through, where several GPUs train together.
CONTEXT_BYTES, WORKSPACE_BYTES, NCCL_BYTES = 500 * 2**20, 256 * 2**20, 256 * 2**20
FLOAT32_BYTES = 4
# Loaders that live at once: that of training and that of validation.
NUM_LOADERS = 2


@dataclass(frozen=True)
class Remedy:
    """A batch that fits, and how many of them make the step that was asked for."""

    batch_size: int
    accumulate: int


def step_of(config: Config) -> int:
    """Images of one optimiser step on one device: the batch, times those whose gradients are added up."""
    return int(config["data"]["batch_size"]) * int(config["trainer"].get("accumulate_grad_batches", 1))


def split(step: int, largest: int) -> Remedy:
    """Divide a step into equal batches of at most so many images, as few as that allows."""
    return Remedy(*batches.split(step, largest))


def largest_batch(config: Config, num_classes: int, machine: Machine, room_bytes: int) -> int:
    """The largest batch, up to the one asked for, that fits into so much memory; 0 when none does."""
    fits, fails = 0, int(config["data"]["batch_size"]) + 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        smaller = {**config, "data": {**config["data"], "batch_size": middle}}
        if need_bytes(smaller, num_classes, machine) <= room_bytes:
            fits = middle
        else:
            fails = middle
    return fits


def need_bytes(config: Config, num_classes: int, machine: Machine) -> int:
    """Memory that a job takes: of each GPU or, where several processes share it, of the machine."""
    from lightning_modules.ledger.training_memory import estimate

    model, data, trainer = config["model"], config["data"], config["trainer"]
    parts = estimate(
        model["architecture"],
        num_classes,
        int(data["image_size"]),
        int(data["batch_size"]),
        precision_of(trainer, machine),
        model["recipe"],
        model.get("options"),
    )
    need, processes = parts.total, count_processes(trainer, machine)
    if model.get("ema_decay") is not None:
        need += checkpoint_bytes(config, num_classes)[1]
    if device_of(trainer, machine) == "cuda":
        # Several GPUs send each other's gradients from copies of them.
        together = parts.gradients + NCCL_BYTES if processes > 1 else 0
        return need + CONTEXT_BYTES + WORKSPACE_BYTES + together
    return (need + BASE_BYTES) * processes + loading_bytes(config, machine)


def loading_bytes(config: Config, machine: Machine) -> int:
    """Main memory that the batches of a job take on their way from files to its devices.

    Not of images that live on the device, or are read when they are asked for.
    """
    from datamodules import sources
    from datamodules.imagenet import MAX_WORKERS
    from datamodules.reading import on_device
    from datamodules.reading.process_loader import memory_bytes

    data, trainer = config["data"], config["trainer"]
    device, processes = device_of(trainer, machine), count_processes(trainer, machine)
    if sources.get(str(data.get("source", "digits"))).in_memory and device in ("cpu", *on_device.DEVICES):
        return 0
    readers = data.get("num_workers")
    if readers is None:
        readers = 1 if device == "cpu" else min(MAX_WORKERS, max(1, machine.cores // machine.num_devices))
    one = memory_bytes(int(data["batch_size"]), int(data["image_size"]), int(readers), device == "cuda")
    return NUM_LOADERS * one * processes


def host_bytes(config: Config, machine: Machine) -> int:
    """Main memory that a job on GPUs takes."""
    return BASE_BYTES * count_processes(config["trainer"], machine) + loading_bytes(config, machine)


def device_of(trainer: Config, machine: Machine) -> str:
    """The kind of device that a job trains on: ``cuda``, ``mps`` or ``cpu``.

    Args:
        trainer: That part of its configuration.
        machine: That would train it.
    """
    slots = slots_for(trainer, machine.slots)
    return kind_of(slots[0]) if slots else machine.accelerator


def count_processes(trainer: Config, machine: Machine) -> int:
    """How many processes a job is, one for each of its devices."""
    devices = str(trainer.get("devices", 1))
    if devices.isdigit():
        return max(1, int(devices))
    return machine.num_devices if device_of(trainer, machine) == "cuda" else 1


def precision_of(trainer: Config, machine: Machine) -> str:
    """What the training process will compute in; no GPU is opened to find out."""
    from training.hardware import precision_for

    device = device_of(trainer, machine)
    precision: str | None = trainer.get("precision")
    if precision is None:
        known = [gpu.capability for gpu in machine.gpus if gpu.capability is not None]
        return precision_for(device, min(known, default=None))
    return "bf16-mixed" if precision == "16-mixed" and device == "cpu" else precision


def checkpoint_bytes(config: Config, num_classes: int) -> tuple[int, int]:
    """Bytes of a checkpoint to go on from, with the optimiser's state, and of one with the weights alone."""
    from lightning_modules import registry
    from lightning_modules.ledger.table import measure
    from lightning_modules.ledger.training_memory import count_states

    model = config["model"]
    sizes = measure(
        model["architecture"], num_classes, int(config["data"]["image_size"]), **(model.get("options") or {})
    )
    parameters = FLOAT32_BYTES * sizes.parameters_with_auxiliary
    weights = parameters + FLOAT32_BYTES * sizes.running_statistics_with_auxiliary
    states = count_states(registry.get(model["architecture"]).get_recipe(model["recipe"]))
    averaged = 0 if model.get("ema_decay") is None else weights
    return weights + averaged + states * parameters, weights
