"""The current load of this machine: CPU, memory and GPUs."""

import psutil

from jobs.host.gpus import Load, read_load
from jobs.host.machine import Machine
from jobs.host.main_memory import read_memory

SAMPLE_S = 0.1
# The names of CPU sensors in Linux.
CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


def read_loads(machine: Machine) -> list[Load]:
    """Read the load of the CPU and of all GPUs; this takes a tenth of a second."""
    memory = read_memory()
    busy = psutil.cpu_percent(SAMPLE_S) / 100
    processor = Load("", busy, memory.used_bytes, memory.total_bytes, _cpu_temperature())
    return [processor, *map(read_load, machine.gpus)]


def _cpu_temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError):  # not available on every system
        return None
    found = [reading.current for name in CPU_SENSORS for reading in sensors.get(name, [])]
    return max(found, default=None)
