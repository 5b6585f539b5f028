"""The memory and disk space that a job needs, and the largest batch that fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.host.machine import Machine
from jobs.host.slots import kind_of, slots_for
from training import batches

Config = Mapping[str, Any]

# The memory of a process without a network: Python with its libraries, measured on a CPU.
BASE_BYTES = 800 * 2**20
# GPU memory, estimated and not measured yet: the CUDA context (300 to 600 MB, depending on GPU and driver),
# the cuDNN workspace, and the NCCL buffers if several GPUs train together.
CONTEXT_BYTES, WORKSPACE_BYTES, NCCL_BYTES = 500 * 2**20, 256 * 2**20, 256 * 2**20
FLOAT32_BYTES = 4
# Data loaders that exist at the same time: one for training and one for validation.
NUM_LOADERS = 2


@dataclass(frozen=True)
class Remedy:
    """A batch size that fits, and how many batches to accumulate for the requested images per step."""

    batch_size: int
    accumulate: int


def step_of(config: Config) -> int:
    """Return the images of one optimiser step on one device: batch size times accumulated batches."""
    return int(config["data"]["batch_size"]) * int(config["trainer"].get("accumulate_grad_batches", 1))


def split(step: int, largest: int) -> Remedy:
    """Divide a step into as few equal batches as possible, of at most `largest` images each."""
    return Remedy(*batches.split(step, largest))


def largest_batch(config: Config, num_classes: int, machine: Machine, room_bytes: int) -> int:
    """Return the largest batch size, up to the requested one, that fits into memory; 0 if none does."""
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
    """Return the bytes of memory that a job needs: on each GPU or, on the CPU, of the machine."""
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
        # Several GPUs exchange copies of their gradients.
        together = parts.gradients + NCCL_BYTES if processes > 1 else 0
        return need + CONTEXT_BYTES + WORKSPACE_BYTES + together
    return (need + BASE_BYTES) * processes + loading_bytes(config, machine)


def loading_bytes(config: Config, machine: Machine) -> int:
    """Return the bytes of main memory for batches on their way from files to the devices of a job.

    This is 0 for images that are kept on the device.
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
    """Return the bytes of main memory that a job on GPUs needs."""
    return BASE_BYTES * count_processes(config["trainer"], machine) + loading_bytes(config, machine)


def device_of(trainer: Config, machine: Machine) -> str:
    """Return the kind of device that a job trains on: ``cuda``, ``mps`` or ``cpu``.

    Args:
        trainer: The trainer section of its configuration.
        machine: The machine that would train it.
    """
    slots = slots_for(trainer, machine.slots)
    return kind_of(slots[0]) if slots else machine.accelerator


def count_processes(trainer: Config, machine: Machine) -> int:
    """Return the number of processes of a job, one for each of its devices."""
    devices = str(trainer.get("devices", 1))
    if devices.isdigit():
        return max(1, int(devices))
    return machine.num_devices if device_of(trainer, machine) == "cuda" else 1


def precision_of(trainer: Config, machine: Machine) -> str:
    """Return the precision that the training process will use, without opening a GPU."""
    from training.hardware import precision_for

    device = device_of(trainer, machine)
    precision: str | None = trainer.get("precision")
    if precision is None:
        known = [gpu.capability for gpu in machine.gpus if gpu.capability is not None]
        return precision_for(device, min(known, default=None))
    return "bf16-mixed" if precision == "16-mixed" and device == "cpu" else precision


def checkpoint_bytes(config: Config, num_classes: int) -> tuple[int, int]:
    """Return the bytes of a checkpoint with the optimiser's state, and of one with only the weights."""
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
