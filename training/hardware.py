"""The hardware of a training process: memory allocator, precision, GPUs and compilers."""

import ctypes
import os
import re
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from problems import InvalidValue
from training.problems import InvalidSettings, UnusableGPU

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

# The first compute capability with bfloat16 in hardware.
WITH_BF16 = (8, 0)
# The oldest driver for each version of CUDA, by major version.
DRIVERS = {11: 450, 12: 525, 13: 580}

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Configure glibc's allocator to keep freed memory, since every step allocates the same sizes again.

    Otherwise each large activation is mapped and its pages are cleared at every step. The effect is that of
    ``MALLOC_MMAP_THRESHOLD_`` and related environment variables, without a restart.

    Returns:
        Whether the allocator accepted all settings; False without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    largest = 2**31 - 1
    settings = {_M_MMAP_THRESHOLD: largest, _M_TRIM_THRESHOLD: largest, _M_TOP_PAD: 64 * 2**20}
    taken = [mallopt(option, value) == 1 for option, value in settings.items()]
    return all(taken)


def choose_precision(accelerator: str) -> str:
    """Choose the fastest precision for the device that this process will use; see `precision_for`.

    Args:
        accelerator: Lightning's name: ``auto``, ``cpu``, ``gpu``, ``cuda`` or ``mps``.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return precision_for("cuda", torch.cuda.get_device_capability())
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return precision_for("mps")
    return precision_for("cpu")


def precision_for(device: str, capability: tuple[int, int] | None = None) -> str:
    """Choose the precision for a type of device without initialising it, which on a GPU would need memory.

    Args:
        device: ``cuda``, ``mps`` or ``cpu`` (that of this machine).
        capability: Compute capability of the GPU; a recent one is assumed if it is unknown.
    """
    if device == "cuda":
        return "bf16-mixed" if capability is None or capability >= WITH_BF16 else "16-mixed"
    return "bf16-mixed" if device == "cpu" and cpu_has_bf16() else "32-true"


def check_accelerator(accelerator: str) -> None:
    """Check that PyTorch can use the GPU that a run will train on.

    Raises:
        InvalidValue: It cannot.
    """
    if accelerator not in ("cuda", "gpu") or torch.backends.mps.is_available():
        return
    if not torch.cuda.is_available():
        code = UnusableGPU.NONE_FOUND_WITH_DRIVER if torch.version.cuda else UnusableGPU.NONE_FOUND
        raise InvalidValue(code, version=torch.__version__, needed=driver_needed())
    if problem := find_problem(torch.cuda.get_device_capability(), torch.cuda.get_device_name()):
        raise problem


def driver_needed() -> int:
    """Return the major version of the oldest NVIDIA driver for the CUDA version of the installed PyTorch.

    It is from NVIDIA's table of minor version compatibility; 0 without CUDA.
    """
    major = int((torch.version.cuda or "0").partition(".")[0])
    return max((driver for cuda, driver in DRIVERS.items() if cuda <= major), default=0)


def find_problem(capability: tuple[int, int] | None, name: str, driver: str = "") -> InvalidValue | None:
    """Return why the installed PyTorch cannot use a GPU, None if it can as far as is known.

    Args:
        capability: Compute capability of the GPU, None if unknown.
        name: Name of the GPU.
        driver: Version of its driver, such as 580.95; empty if unknown.
    """
    about: dict[str, Any] = {"version": torch.__version__, "gpu": name}
    if torch.version.hip:
        return None  # AMD's GPUs are not checked
    if not torch.version.cuda:
        return InvalidValue(UnusableGPU.BUILT_WITHOUT_CUDA, **about)
    first = driver.partition(".")[0]
    if first.isdecimal() and int(first) < driver_needed():
        about |= {"cuda": torch.version.cuda, "needed": driver_needed(), "driver": driver}
        return InvalidValue(UnusableGPU.OLD_DRIVER, **about)
    built_for = re.findall(r"sm_(\d+)(\d)", torch._C._cuda_getArchFlags() or "")
    oldest = min(((int(major), int(minor)) for major, minor in built_for), default=(0, 0))
    if capability is not None and capability < oldest:
        about |= {"oldest": "{}.{}".format(*oldest), "capability": "{}.{}".format(*capability)}
        return InvalidValue(UnusableGPU.OLD_GPU, **about)
    return None


def use_tensor_cores(device: torch.device) -> None:
    """Allow TF32 for matrix products in float32 on a GPU, as PyTorch does for convolutions by default.

    TF32 has a mantissa of 10 bits and accumulates in float32. Without it, ``32-true`` would use tensor cores
    for convolutions but not for linear layers: several times slower, and not more precise as a whole.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


def cpu_has_bf16() -> bool:
    """Return whether this CPU has bfloat16 in hardware; emulated, it would be slower than float32."""
    if not hasattr(torch.cpu, "get_capabilities"):  # before torch 2.12 it is unknown
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def check_trainer(trainer: "Trainer", *, sync_batchnorm: bool, compile: bool) -> None:
    """Check that the settings of a run are possible on this machine.

    Raises:
        InvalidValue: They are not.
    """
    kind = trainer.strategy.root_device.type
    requested = trainer.num_devices * trainer.num_nodes
    if trainer.world_size != requested:
        raise InvalidValue(
            InvalidSettings.PROCESSES,
            requested=requested,
            started=trainer.world_size,
            nodes=trainer.num_nodes,
            devices=trainer.num_devices,
        )
    if sync_batchnorm and trainer.world_size > 1 and kind == "cpu":
        raise InvalidValue(InvalidSettings.SYNC_BATCHNORM_ON_CPU)
    if compile and (missing := missing_compiler(kind)):
        raise InvalidValue(InvalidSettings.NO_COMPILER, missing=missing)


def missing_compiler(device: str) -> str:
    """Return what ``torch.compile`` needs for a type of device and does not find, empty if nothing."""
    named = os.environ.get("CXX")
    compilers = [named] if named else ["g++", "clang++", "c++"]
    if not any(shutil.which(compiler) for compiler in compilers):
        return f"a C++ compiler ({named or 'g++'})"
    if device == "cuda":
        if find_spec("triton") is None:
            return "Triton"
        if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
            return "the headers of Python (Python.h, in Debian's python3-dev) for Triton"
    return ""
