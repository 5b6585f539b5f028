"""The slots of this machine that jobs run in, and how many of them a job takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from datamodules.cores import VARIABLE
from jobs.host.machine import Machine, describe_machine
from jobs.problems import Launch, LaunchError
from tracking.runs import Run

# Lightning's names of accelerators and the kinds of slots; all others use the default of the machine.
KINDS = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda", "mps": "mps"}


def kind_of(slot: str) -> str:
    """Return the kind of device that a slot is on: `cuda`, `mps` or `cpu`."""
    return slot.partition(":")[0]


def key_of(slot: str) -> str:
    """Return the name of a slot's device among those of its kind."""
    return slot.partition(":")[2]


def slots_for(trainer: Mapping[str, Any], slots: Sequence[str]) -> list[str]:
    """Return the slots that a job may run in.

    Args:
        trainer: The trainer section of its configuration. Without an accelerator, the fastest kind is used.
        slots: All slots, the fastest kind first.
    """
    wanted = KINDS.get(str(trainer.get("accelerator", "auto")), kind_of(slots[0]))
    if wanted == "cuda" and "mps" in map(kind_of, slots):
        wanted = "mps"  # the meaning of "gpu" on such machines
    return [slot for slot in slots if kind_of(slot) == wanted]


def count_slots(trainer: Mapping[str, Any], slots: Sequence[str]) -> int:
    """Return how many slots a job takes.

    Args:
        trainer: The trainer section of its configuration.
        slots: All slots.

    Raises:
        LaunchError: There are fewer slots of that kind than requested, or the number is invalid.
    """
    devices, mine = trainer.get("devices", 1), slots_for(trainer, slots)
    if not mine:
        available = ", ".join(dict.fromkeys(map(kind_of, slots)))
        raise LaunchError(Launch.NO_ACCELERATOR, accelerator=trainer["accelerator"], available=available)
    if kind_of(mine[0]) != "cuda":
        return 1  # several processes share one CPU
    largest = 1 if all(key_of(slot).startswith("MIG-") for slot in mine) else len(mine)
    if devices in ("auto", -1, "-1"):
        return largest
    if not str(devices).isdigit() or not int(devices):
        raise LaunchError(Launch.BAD_DEVICES, devices=devices)
    if int(devices) > len(mine):
        raise LaunchError(Launch.TOO_FEW_GPUS, devices=int(devices), available=len(mine))
    if int(devices) > largest:
        raise LaunchError(Launch.GPU_PARTS, devices=int(devices))
    return int(devices)


def join_slots(slots: Sequence[str]) -> str:
    """Write `["cuda:0", "cuda:1"]` as `cuda:0,1`."""
    return f"{kind_of(slots[0])}:{','.join(map(key_of, slots))}"


def slots_of(run: Run) -> list[str]:
    """Return the slots that a run has; a process that was started manually has none."""
    device, _, keys = run.tags.get("job.slots", "").partition(":")
    return [f"{device}:{key}" for key in keys.split(",") if key]


def environment_of(slots: Sequence[str], machine: Machine | None = None) -> dict[str, str]:
    """Return the environment variables that restrict a process to the devices of its slots.

    Args:
        slots: Slots of one kind.
        machine: This machine.
    """
    machine = machine or describe_machine()
    if kind_of(slots[0]) == "cuda":
        of_all = max(1, len(machine.gpus))
        return {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(map(key_of, slots)),
            # Each GPU comes with its share of the cores; otherwise each job would start workers for all.
            VARIABLE: str(max(1, machine.cores * len(slots) // of_all)),
        }
    # A job on the CPU opens no GPU and uses no GPU memory.
    return {"CUDA_VISIBLE_DEVICES": ""} if machine.gpus or machine.problem else {}
