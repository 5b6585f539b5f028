"""The NVIDIA GPUs of this machine, as their driver reports them through NVML.

Indices are those of nvidia-smi, which follow the PCI bus. Processes that use a GPU are started with
``CUDA_DEVICE_ORDER=PCI_BUS_ID`` to use the same indices, because CUDA's default order is fastest first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from jobs.problems import Launch, LaunchError

# Where Linux shows the driver, even to a container without the library that queries it.
DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))


@dataclass(frozen=True)
class Gpu:
    """One GPU, or a part of one (a MIG instance).

    Attributes:
        key: Its name in CUDA_VISIBLE_DEVICES: an index or a UUID.
        name: The product name.
        memory_bytes: The size of its memory, 0 when unknown.
        uuid: The UUID, empty when unknown.
        index: The index of this GPU, or of the GPU that this is a part of.
        capability: The compute capability, such as (9, 0); None when unknown.
        is_part: Whether it is a part of a GPU. A process can use only one part.
    """

    key: str
    name: str
    memory_bytes: int
    uuid: str = ""
    index: str = ""
    capability: tuple[int, int] | None = None
    is_part: bool = False

    @property
    def slot(self) -> str:
        """The slot for a job on this GPU."""
        return f"cuda:{self.key}"


@dataclass(frozen=True)
class Driver:
    """What the driver reports.

    Attributes:
        gpus: All GPUs, visible to this process or not; a GPU divided by MIG is replaced by its parts.
        version: The version of the driver, such as 580.95; empty when unknown.
        problem: One sentence saying why the driver does not respond although it is installed, or empty.
    """

    gpus: tuple[Gpu, ...] = ()
    version: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Load:
    """The current load of one device; values that it does not report are None.

    Attributes:
        slot: The GPU's slot, empty for the CPU.
        busy: The utilisation, from 0 to 1.
        used_bytes: The memory in use.
        memory_bytes: The total memory.
        temperature_c: The temperature of the hottest sensor, in degrees Celsius.
    """

    slot: str
    busy: float | None
    used_bytes: int | None
    memory_bytes: int | None
    temperature_c: float | None


def ask_driver() -> Driver:
    """Find the GPUs of this machine; without a driver there are none."""
    try:
        nvml = _library()
    except Exception as error:  # an error of NVML, or the driver is not installed
        is_installed = any(place.exists() for place in DRIVER)
        return Driver(problem=str(LaunchError(Launch.DRIVER, reason=error)) if is_installed else "")
    gpus: list[Gpu] = []
    for index in range(_ask(nvml.nvmlDeviceGetCount) or 0):
        if (handle := _ask(nvml.nvmlDeviceGetHandleByIndex, index)) is not None:
            gpu = _describe(handle, str(index))
            gpus += [*_parts(handle, gpu)] or [gpu]
    return Driver(tuple(gpus), _text(_ask(nvml.nvmlSystemGetDriverVersion)))


def read_load(gpu: Gpu) -> Load:
    """Read the current load of a GPU."""
    handle = _find(gpu)
    if handle is None:
        return Load(gpu.slot, None, None, None, None)
    nvml = _library()
    rates = _ask(nvml.nvmlDeviceGetUtilizationRates, handle)
    memory = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    temperature = _ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
    return Load(
        gpu.slot,
        None if rates is None else rates.gpu / 100,
        None if memory is None else int(memory.used),
        None if memory is None else int(memory.total),
        None if temperature is None else float(temperature),
    )


def visible_gpus(gpus: tuple[Gpu, ...], visible: str | None) -> tuple[Gpu, ...]:
    """Keep the GPUs named in CUDA_VISIBLE_DEVICES, in its order; like CUDA, stop at the first unknown name.

    Args:
        gpus: The GPUs that the driver reports.
        visible: The variable's value, None when it is not set.
    """
    if visible is None:
        return gpus
    kept: list[Gpu] = []
    for word in (word.strip() for word in visible.split(",")):
        found = next((gpu for gpu in gpus if word and _is_meant(word, gpu)), None)
        if found is not None:
            kept.append(replace(found, key=found.key if found.is_part else word))
        elif gpus and word.startswith("MIG-"):  # the names of parts in drivers before version 470
            kept.append(Gpu(word, "MIG device", 0, is_part=True))
        else:
            break
    return tuple(kept)


@cache
def _library() -> Any:
    """Return the initialised NVML; initialisation can take seconds, and raises NVML's own errors."""
    import pynvml

    pynvml.nvmlInit()
    return pynvml


def _ask(question: Callable[..., Any], *about: Any) -> Any:
    """Call a function of NVML; return None where the driver or the GPU does not support it."""
    try:
        return question(*about)
    except _library().NVMLError:
        return None


def _describe(handle: Any, key: str) -> Gpu:
    nvml = _library()
    memory = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    capability = _ask(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return Gpu(
        key,
        _text(_ask(nvml.nvmlDeviceGetName, handle)) or "NVIDIA GPU",
        0 if memory is None else int(memory.total),
        _text(_ask(nvml.nvmlDeviceGetUUID, handle)),
        key,
        None if capability is None else (int(capability[0]), int(capability[1])),
    )


def _parts(handle: Any, whole: Gpu) -> Iterator[Gpu]:
    nvml = _library()
    mode = _ask(nvml.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        return
    for number in range(_ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        if (part := _ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)) is not None:
            found = _describe(part, whole.index)
            yield replace(found, key=found.uuid, capability=whole.capability, is_part=True)


def _find(gpu: Gpu) -> Any:
    try:
        nvml = _library()
    except Exception:  # the driver has stopped responding
        return None
    return _ask(nvml.nvmlDeviceGetHandleByUUID, gpu.uuid) if gpu.uuid else None


def _is_meant(word: str, gpu: Gpu) -> bool:
    if word.isdigit():
        return word == gpu.index
    return word.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(word)


def _text(answer: Any) -> str:
    return answer.decode() if isinstance(answer, bytes) else answer or ""
