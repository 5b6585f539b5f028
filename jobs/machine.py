"""What this machine has to train on, found out without importing torch."""

import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.memory import read_memory

NVIDIA_SMI_TIMEOUT_S = 20


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        key: What CUDA_VISIBLE_DEVICES calls it: an index or a UUID.
        name: The maker's name of it.
        memory_bytes: 0 when unknown.
    """

    key: str
    name: str
    memory_bytes: int


@dataclass(frozen=True)
class Machine:
    """This machine.

    Attributes:
        name: Its host name.
        cpu: The processor's model name.
        cores: Cores this process may use.
        memory_bytes: Main memory, of which a container may have only a part.
        gpus: NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible.
        accelerator: "cuda", "mps" or "cpu", what training will use.
        slots: Names of the places a job can run in: one for each GPU, otherwise one.
    """

    name: str
    cpu: str
    cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    accelerator: str
    slots: tuple[str, ...]


@cache
def describe_machine() -> Machine:
    """Look once and remember: none of it changes while a process lives."""
    gpus = visible_gpus(list_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    accelerator = "cpu"
    if gpus:
        accelerator = "cuda"
    elif platform.system() == "Darwin" and platform.machine() == "arm64":
        accelerator = "mps"
    return Machine(
        name=platform.node(),
        cpu=_cpu_name(),
        cores=_cores(),
        memory_bytes=read_memory().total_bytes,
        gpus=gpus,
        accelerator=accelerator,
        slots=tuple(f"cuda:{gpu.key}" for gpu in gpus) or (f"{accelerator}:0",),
    )


@dataclass(frozen=True)
class Room:
    """The memory there is for one job."""

    name: str
    size_bytes: int


def room_of(machine: Machine) -> Room:
    """Find the memory that a job has on its device; that of the smallest GPU where they differ."""
    known = [gpu for gpu in machine.gpus if gpu.memory_bytes]
    if known:
        smallest = min(known, key=lambda gpu: gpu.memory_bytes)
        return Room(smallest.name, smallest.memory_bytes)
    return Room("this machine", 0 if machine.gpus else machine.memory_bytes)


def list_gpus() -> tuple[Gpu, ...]:
    """Every NVIDIA GPU that the driver knows, none without a driver."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_gpus(answer.stdout) if answer.returncode == 0 else ()


def parse_gpus(table: str) -> tuple[Gpu, ...]:
    """Read nvidia-smi's lines of index, UUID, name and MiB; keys become `index UUID`."""
    gpus = []
    for line in table.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4:
            index, uuid, name, mebibytes = fields
            memory = int(mebibytes) * 2**20 if mebibytes.isdigit() else 0
            gpus.append(Gpu(f"{index} {uuid}", name, memory))
    return tuple(gpus)


def visible_gpus(gpus: tuple[Gpu, ...], visible: str | None) -> tuple[Gpu, ...]:
    """Keep what CUDA_VISIBLE_DEVICES names, in its order; like CUDA, stop at the first unknown.

    Args:
        gpus: As `parse_gpus` returns them.
        visible: The variable's value, None when it is not set.
    """
    if visible is None:
        return tuple(Gpu(gpu.key.split()[0], gpu.name, gpu.memory_bytes) for gpu in gpus)
    kept: list[Gpu] = []
    for word in (word.strip() for word in visible.split(",")):
        found = [gpu for gpu in gpus if word and _is_meant(word, gpu)]
        if not found and not (gpus and word.startswith("MIG-")):
            break
        kept.append(Gpu(word, found[0].name, found[0].memory_bytes) if found else Gpu(word, "MIG device", 0))
    return tuple(kept)


def _is_meant(word: str, gpu: Gpu) -> bool:
    index, uuid = gpu.key.split()
    return word == index if word.isdigit() else word.startswith("GPU-") and uuid.startswith(word)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
