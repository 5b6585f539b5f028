"""The places of this machine that jobs run in, and how many of them a job takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from datamodules.cores import VARIABLE
from jobs.errors import LaunchError
from jobs.host.machine import Machine, describe_machine
from tracking.runs import Run

# Lightning's names of accelerators to those of slots; all others take what the machine has.
KINDS = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda", "mps": "mps"}


def kind_of(slot: str) -> str:
    """The kind of device a slot is on: `cuda`, `mps` or `cpu`."""
    return slot.partition(":")[0]


def key_of(slot: str) -> str:
    """What the device of a slot is called among those of its kind."""
    return slot.partition(":")[2]


def slots_for(trainer: Mapping[str, Any], slots: Sequence[str]) -> list[str]:
    """The slots that a job may run in.

    Args:
        trainer: That part of its configuration; what asks for no accelerator gets the fastest.
        slots: All, the fastest kind first.
    """
    wanted = KINDS.get(str(trainer.get("accelerator", "auto")), kind_of(slots[0]))
    if wanted == "cuda" and "mps" in map(kind_of, slots):
        wanted = "mps"  # what "gpu" means there
    return [slot for slot in slots if kind_of(slot) == wanted]


def count_slots(trainer: Mapping[str, Any], slots: Sequence[str]) -> int:
    """How many of the slots it may run in a job takes.

    Args:
        trainer: That part of its configuration.
        slots: All.

    Raises:
        LaunchError: There are none of that kind or fewer than it wants, or that is not a number.
    """
    devices, mine = trainer.get("devices", 1), slots_for(trainer, slots)
    if not mine:
        raise LaunchError(
            f"The job asks for the accelerator {trainer['accelerator']}, which this machine does not have; "
            f"it has: {', '.join(dict.fromkeys(map(kind_of, slots)))}."
        )
    if kind_of(mine[0]) != "cuda":
        return 1  # several processes share one CPU
    largest = 1 if all(key_of(slot).startswith("MIG-") for slot in mine) else len(mine)
    if devices in ("auto", -1, "-1"):
        return largest
    if not str(devices).isdigit() or not int(devices):
        raise LaunchError(f"devices is {devices!r}; it must be a number of GPUs from 1, or 'auto' for all.")
    if int(devices) > len(mine):
        raise LaunchError(f"The job wants {devices} GPUs, but this machine has {len(mine)}; ask for fewer.")
    if int(devices) > largest:
        raise LaunchError(f"The job wants {devices} GPUs, but parts of one (MIG) cannot train together.")
    return int(devices)


def join_slots(slots: Sequence[str]) -> str:
    """`["cuda:0", "cuda:1"]` as `cuda:0,1`."""
    return f"{kind_of(slots[0])}:{','.join(map(key_of, slots))}"


def slots_of(run: Run) -> list[str]:
    """The slots the run has taken; none for a process that somebody started by hand."""
    device, _, keys = run.tags.get("job.slots", "").partition(":")
    return [f"{device}:{key}" for key in keys.split(",") if key]


def environment_of(slots: Sequence[str], machine: Machine | None = None) -> dict[str, str]:
    """What a process in these slots has in its environment, so that it sees their devices and no others.

    Args:
        slots: Of one kind.
        machine: This one.
    """
    machine = machine or describe_machine()
    if kind_of(slots[0]) == "cuda":
        of_all = max(1, len(machine.gpus))
        return {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(map(key_of, slots)),
            # Each GPU comes with its part of the processor, or all jobs would start readers for all cores.
            VARIABLE: str(max(1, machine.cores * len(slots) // of_all)),
        }
    # A job on the processor opens no GPU, and takes no memory there.
    return {"CUDA_VISIBLE_DEVICES": ""} if machine.gpus or machine.problem else {}
