"""What the machine under a training process is good at."""

import ctypes
import os
import re
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

# The first compute capability that multiplies bfloat16 itself.
WITH_BF16 = (8, 0)
# The oldest driver for each CUDA, by their first numbers.
DRIVERS = {11: 450, 12: 525, 13: 580}

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Tells glibc's allocator to keep what is freed, since every step asks for the same sizes again.

    Without it each large activation is mapped and its pages cleared anew at every step. Same effect as
    ``MALLOC_MMAP_THRESHOLD_`` and its kin in the environment, but no restart is needed. Returns whether
    the allocator took all settings (False where there is no glibc).
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
    """Picks the fastest precision that trains without loss scaling, of what this process can use.

    Args:
        accelerator: Lightning's name of it: ``auto``, ``cpu``, ``gpu``, ``cuda`` or ``mps``.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return precision_for("cuda", torch.cuda.get_device_capability())
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return precision_for("mps")
    return precision_for("cpu")


def precision_for(device: str, capability: tuple[int, int] | None = None) -> str:
    """Picks the same for a kind of device without opening one, which on a GPU would take memory.

    Args:
        device: ``cuda``, ``mps`` or ``cpu``, which is the processor of this machine.
        capability: Of the GPU; one that is not known is taken for a recent one.
    """
    if device == "cuda":
        return "bf16-mixed" if capability is None or capability >= WITH_BF16 else "16-mixed"
    return "bf16-mixed" if device == "cpu" and cpu_has_bf16() else "32-true"


def check_accelerator(accelerator: str) -> None:
    """Makes sure that PyTorch can use the GPU that a run is to train on.

    Raises:
        ValueError: It cannot; one sentence.
    """
    if accelerator not in ("cuda", "gpu") or torch.backends.mps.is_available():
        return
    if not torch.cuda.is_available():
        needs = f" needs NVIDIA's driver {driver_needed()} or later and" if torch.version.cuda else ""
        raise ValueError(
            f"PyTorch {torch.__version__}{needs} finds no GPU that it can use; train with accelerator cpu, "
            "or install what nvidia-smi and https://pytorch.org agree on."
        )
    if problem := unusable(torch.cuda.get_device_capability(), torch.cuda.get_device_name()):
        raise ValueError(problem)


def driver_needed() -> int:
    """Returns the oldest driver of NVIDIA's, by its first number, for the CUDA of the installed PyTorch.

    From NVIDIA's table of minor version compatibility; 0 without CUDA.
    """
    major = int((torch.version.cuda or "0").partition(".")[0])
    return max((driver for cuda, driver in DRIVERS.items() if cuda <= major), default=0)


def unusable(capability: tuple[int, int] | None, name: str, driver: str = "") -> str:
    """Returns in one sentence why the installed PyTorch cannot use a GPU, empty if nothing speaks against it.

    Args:
        capability: Compute capability of the GPU, None if unknown.
        name: Of the GPU.
        driver: Its version, such as 580.95; empty if unknown.
    """
    version = torch.__version__
    if torch.version.hip:
        return ""  # AMD's, of which nothing is known here
    if not torch.version.cuda:
        return f"PyTorch {version} was built without CUDA and cannot use {name}; install one with CUDA."
    first = driver.partition(".")[0]
    if first.isdecimal() and int(first) < driver_needed():
        return (
            f"PyTorch {version} was built for CUDA {torch.version.cuda}, which needs NVIDIA's driver "
            f"{driver_needed()} or later, and {name} has {driver}; update it or install an older PyTorch."
        )
    built_for = re.findall(r"sm_(\d+)(\d)", torch._C._cuda_getArchFlags() or "")
    oldest = min(((int(major), int(minor)) for major, minor in built_for), default=(0, 0))
    if capability is not None and capability < oldest:
        return (
            f"PyTorch {version} has kernels for compute capability {oldest[0]}.{oldest[1]} and later, and "
            f"{name} has {capability[0]}.{capability[1]}; install an older PyTorch or train with "
            "accelerator cpu."
        )
    return ""


def use_tensor_cores(device: torch.device) -> None:
    """Lets a GPU multiply float32 matrices in TF32, as PyTorch lets it convolve unless told otherwise.

    TF32 keeps 10 binary digits of a factor and adds up in float32. Without it ``32-true`` would convolve with
    tensor cores and compute linear layers without: several times slower, and no more exact as a whole.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


def cpu_has_bf16() -> bool:
    """Returns whether this CPU multiplies bfloat16 itself; emulated, it would be slower than float32."""
    if not hasattr(torch.cpu, "get_capabilities"):  # older than torch 2.12: unknown, so take the safe way
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def check_trainer(trainer: "Trainer", *, sync_batchnorm: bool, compile: bool) -> None:
    """Makes sure that this machine can do what a run asks for.

    Raises:
        ValueError: It cannot; one sentence.
    """
    kind = trainer.strategy.root_device.type
    wanted = trainer.num_devices * trainer.num_nodes
    if trainer.world_size != wanted:
        raise ValueError(
            f"{wanted} processes were asked for, but Slurm has started {trainer.world_size}; take fewer "
            f"devices or, of srun, --nodes={trainer.num_nodes} --ntasks-per-node={trainer.num_devices}."
        )
    if sync_batchnorm and trainer.world_size > 1 and kind == "cpu":
        raise ValueError("sync_batchnorm needs GPUs, and this run is on a CPU; leave it out.")
    if compile and (missing := missing_compiler(kind)):
        raise ValueError(
            f"compile needs {missing}, which this machine lacks; install it or leave compile out."
        )


def missing_compiler(device: str) -> str:
    """Returns what ``torch.compile`` needs for a kind of device and cannot find, empty if nothing."""
    named = os.environ.get("CXX")
    compilers = [named] if named else ["g++", "clang++", "c++"]
    if not any(shutil.which(compiler) for compiler in compilers):
        return f"a C++ compiler ({named or 'g++'})"
    if device == "cuda":
        if find_spec("triton") is None:
            return "Triton"
        if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
            return "Python's headers (Python.h, in Debian's python3-dev) for Triton"
    return ""
