"""What a job takes of memory and disk, and the largest batch that fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.machine import Machine, room_of
from training import batches

Config = Mapping[str, Any]

# What a process has before it holds a network: Python with its libraries, measured on a CPU. A GPU's
# context is an estimate; it lies between 300 and 600 MB, by card and driver.
BASE_BYTES = 800 * 2**20
CONTEXT_BYTES = 500 * 2**20
FLOAT32_BYTES = 4


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


def largest_batch(config: Config, num_classes: int, machine: Machine) -> int:
    """The largest batch, up to the one asked for, that fits into a device's memory; 0 when none does."""
    room = room_of(machine).size_bytes
    fits, fails = 0, int(config["data"]["batch_size"]) + 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        smaller = {**config, "data": {**config["data"], "batch_size": middle}}
        if need_bytes(smaller, num_classes, machine) <= room:
            fits = middle
        else:
            fails = middle
    return fits


def need_bytes(config: Config, num_classes: int, machine: Machine) -> int:
    """Memory that a job takes: of each GPU or, where several processes share it, of the machine."""
    from lightning_modules.memory import estimate
    from training.hardware import choose_precision

    model, data, trainer = config["model"], config["data"], config["trainer"]
    precision = trainer.get("precision") or choose_precision("auto")
    if precision == "16-mixed" and machine.accelerator == "cpu":
        precision = "bf16-mixed"
    need = estimate(
        model["architecture"],
        num_classes,
        int(data["image_size"]),
        int(data["batch_size"]),
        precision,
        model["recipe"],
        model.get("options"),
    ).total
    if model.get("ema_decay") is not None:
        need += checkpoint_bytes(config, num_classes)[1]
    if machine.gpus:
        return need + CONTEXT_BYTES
    devices = str(trainer.get("devices", 1))
    return (need + BASE_BYTES) * (int(devices) if devices.isdigit() else 1)


def checkpoint_bytes(config: Config, num_classes: int) -> tuple[int, int]:
    """Bytes of a checkpoint to go on from, with the optimiser's state, and of one with the weights alone."""
    from lightning_modules import registry
    from lightning_modules.ledger import measure
    from lightning_modules.memory import count_states

    model = config["model"]
    sizes = measure(
        model["architecture"], num_classes, int(config["data"]["image_size"]), **(model.get("options") or {})
    )
    parameters = FLOAT32_BYTES * sizes.parameters_with_auxiliary
    weights = parameters + FLOAT32_BYTES * sizes.running_statistics_with_auxiliary
    states = count_states(registry.get(model["architecture"]).get_recipe(model["recipe"]))
    averaged = 0 if model.get("ema_decay") is None else weights
    return weights + averaged + states * parameters, weights
