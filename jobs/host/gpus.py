"""The NVIDIA GPUs of this machine, as their driver tells of them through NVML.

Indices are those of nvidia-smi, which counts by PCI bus; whoever is started on one is told to count so as
well (``CUDA_DEVICE_ORDER``), since CUDA by itself counts from the fastest on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

# Where Linux shows the driver, also to a container that lacks the library which asks it.
DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))


@dataclass(frozen=True)
class Gpu:
    """One GPU, or the part of one that MIG has made a device of its own.

    Attributes:
        key: What CUDA_VISIBLE_DEVICES calls it: an index or a UUID.
        name: The maker's name of it.
        memory_bytes: 0 when unknown.
        uuid: Empty when unknown.
        index: Of the GPU that this is, or is a part of.
        capability: The compute capability, such as (9, 0); None when unknown.
        is_part: Whether it is a part: of those one process can use one only.
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
        """The place a job has on it."""
        return f"cuda:{self.key}"


@dataclass(frozen=True)
class Driver:
    """What the driver tells.

    Attributes:
        gpus: All, whoever may use them; the parts of one that MIG has divided in its place.
        version: Of the driver, such as 580.95; empty when unknown.
        problem: One sentence why it cannot be asked, though it is there; empty otherwise.
    """

    gpus: tuple[Gpu, ...] = ()
    version: str = ""
    problem: str = ""


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


def ask_driver() -> Driver:
    """Find out what GPUs there are; none without a driver."""
    try:
        nvml = _library()
    except Exception as error:  # of the library, or because it is not installed
        if not any(place.exists() for place in DRIVER):
            return Driver()
        return Driver(
            problem=f"This machine has an NVIDIA driver that cannot be asked ({error}), so jobs train on the "
            "processor. A container needs NVIDIA_DRIVER_CAPABILITIES=compute,utility, a driver that was "
            "just updated a restart."
        )
    gpus: list[Gpu] = []
    for index in range(_ask(nvml.nvmlDeviceGetCount) or 0):
        if (handle := _ask(nvml.nvmlDeviceGetHandleByIndex, index)) is not None:
            gpu = _describe(handle, str(index))
            gpus += [*_parts(handle, gpu)] or [gpu]
    return Driver(tuple(gpus), _text(_ask(nvml.nvmlSystemGetDriverVersion)))


def read_load(gpu: Gpu) -> Load:
    """Look at a GPU."""
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
    """Keep what CUDA_VISIBLE_DEVICES names, in its order; like CUDA, stop at the first unknown.

    Args:
        gpus: As the driver tells of them.
        visible: The variable's value, None when it is not set.
    """
    if visible is None:
        return gpus
    kept: list[Gpu] = []
    for word in (word.strip() for word in visible.split(",")):
        found = next((gpu for gpu in gpus if word and _is_meant(word, gpu)), None)
        if found is not None:
            kept.append(replace(found, key=found.key if found.is_part else word))
        elif gpus and word.startswith("MIG-"):  # as drivers called parts before version 470
            kept.append(Gpu(word, "MIG device", 0, is_part=True))
        else:
            break
    return tuple(kept)


@cache
def _library() -> Any:
    """Return NVML, ready to be asked: getting ready can take seconds. Raises what it says when it cannot."""
    import pynvml

    pynvml.nvmlInit()
    return pynvml


def _ask(question: Callable[..., Any], *about: Any) -> Any:
    """Return the answer, None where the driver or the GPU has none."""
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
    except Exception:  # gone since
        return None
    return _ask(nvml.nvmlDeviceGetHandleByUUID, gpu.uuid) if gpu.uuid else None


def _is_meant(word: str, gpu: Gpu) -> bool:
    if word.isdigit():
        return word == gpu.index
    return word.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(word)


def _text(answer: Any) -> str:
    return answer.decode() if isinstance(answer, bytes) else answer or ""
