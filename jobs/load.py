"""How busy this machine is: processor, memory and GPUs, as far as it tells."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from jobs.machine import Gpu, Machine
from jobs.memory import read_memory

QUERY = "index,uuid,utilization.gpu,memory.used,memory.total,temperature.gpu"
TIMEOUT_S = 5.0
SAMPLE_S = 0.1
# Names under which Linux knows the sensors of processors.
CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


@dataclass(frozen=True)
class Load:
    """One device at this moment; None is what it does not tell.

    Attributes:
        slot: The GPU's slot, empty for the processor.
        busy: Of its time, from 0 to 1.
        used_bytes: Of its memory.
        memory_bytes: All of it.
        temperature_c: The hottest, in degrees Celsius.
    """

    slot: str
    busy: float | None
    used_bytes: int | None
    memory_bytes: int | None
    temperature_c: float | None


def read_loads(machine: Machine) -> list[Load]:
    """Look at the processor, and at the GPUs if there are any; takes a tenth of a second."""
    memory = read_memory()
    busy = psutil.cpu_percent(SAMPLE_S) / 100
    processor = Load("", busy, memory.used_bytes, memory.total_bytes, _cpu_temperature())
    return [processor, *_read_gpus(machine.gpus)]


def parse_loads(table: str, gpus: Iterable[Gpu]) -> list[Load]:
    """Read nvidia-smi's lines of `QUERY`, in the order of the GPUs; others are left out."""
    rows = [[field.strip() for field in line.split(",")] for line in table.splitlines()]
    loads = []
    for gpu in gpus:
        for index, uuid, busy, used, total, temperature in (row for row in rows if len(row) == 6):
            if gpu.key == index or (gpu.key.startswith("GPU-") and uuid.startswith(gpu.key)):
                share, used_mib, total_mib = _number(busy), _number(used), _number(total)
                loads.append(
                    Load(
                        f"cuda:{gpu.key}",
                        None if share is None else share / 100,
                        None if used_mib is None else int(used_mib * 2**20),
                        None if total_mib is None else int(total_mib * 2**20),
                        _number(temperature),
                    )
                )
    return loads


def _read_gpus(gpus: tuple[Gpu, ...]) -> list[Load]:
    if not gpus:
        return []
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_loads(answer.stdout, gpus) if answer.returncode == 0 else []


def _cpu_temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError):  # not on every system
        return None
    found = [reading.current for name in CPU_SENSORS for reading in sensors.get(name, [])]
    return max(found, default=None)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # such as [N/A]
        return None
