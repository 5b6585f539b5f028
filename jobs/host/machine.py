"""The hardware of this machine, determined without importing torch."""

import os
import platform
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from datamodules.cores import count_cores
from jobs.host.gpus import Gpu, ask_driver, read_load, visible_gpus
from jobs.host.main_memory import read_memory


@dataclass(frozen=True)
class Machine:
    """This machine.

    Attributes:
        name: The host name.
        cpu: The model name of the CPU.
        cores: The number of cores that this process may use.
        memory_bytes: The main memory available to this process; a container may have only a part of it.
        gpus: The NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible.
        accelerator: "cuda", "mps" or "cpu": the default for training.
        slots: The names of the slots that jobs run in: one for each GPU, and one for the CPU.
        driver: The version of the NVIDIA driver, empty without one.
        problem: One sentence saying why GPUs that may exist cannot be used, or empty.
    """

    name: str
    cpu: str
    cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    accelerator: str
    slots: tuple[str, ...]
    driver: str = ""
    problem: str = ""

    @property
    def num_devices(self) -> int:
        """The number of devices of a job that requests all of them."""
        return max(1, len(self.gpus))


def describe_machine() -> Machine:
    """Return the hardware of this machine, cached unless the driver did not respond."""
    found = _look()
    if found.problem:
        _look.cache_clear()
    return found


@cache
def _look() -> Machine:
    driver = ask_driver()
    gpus = visible_gpus(driver.gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    accelerator = "cpu"
    if gpus:
        accelerator = "cuda"
    elif platform.system() == "Darwin" and platform.machine() == "arm64":
        accelerator = "mps"
    of_gpus = tuple(gpu.slot for gpu in gpus) or (("mps:0",) if accelerator == "mps" else ())
    return Machine(
        name=platform.node(),
        cpu=_cpu_name(),
        cores=count_cores(),
        memory_bytes=read_memory().total_bytes,
        gpus=gpus,
        accelerator=accelerator,
        slots=(*of_gpus, "cpu:0"),
        driver=driver.version,
        problem=driver.problem,
    )


@dataclass(frozen=True)
class Room:
    """The memory available to one job."""

    name: str
    size_bytes: int
    is_gpu: bool = False


def room_of(machine: Machine, accelerator: str = "auto", busy: Collection[str] = ()) -> Room:
    """Return the memory available to a job on its device; the smallest where devices differ.

    Args:
        machine: This machine.
        accelerator: The accelerator that the job requests.
        busy: Slots in use by other jobs. Their memory will be free when those jobs have ended, so it counts
            in full; on other devices, only the memory that is free now counts.
    """
    if accelerator == "cpu" or not machine.gpus:
        return Room("this machine", machine.memory_bytes)
    rooms = []
    for gpu in machine.gpus:
        load = None if gpu.slot in busy else read_load(gpu)
        used = 0 if load is None else load.used_bytes or 0
        rooms.append(Room(gpu.name, max(0, gpu.memory_bytes - used), is_gpu=True))
    known = [room for room in rooms if room.size_bytes]
    return min(known, key=lambda room: room.size_bytes, default=Room("this machine", 0, is_gpu=True))


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
