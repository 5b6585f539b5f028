"""What the machine under a training process is good at."""

import ctypes
import os
import shutil
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

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
    """Picks the fastest precision of the accelerator that trains without loss scaling.

    Args:
        accelerator: Lightning's name of it: ``auto``, ``cpu``, ``gpu``, ``cuda`` or ``mps``.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return "32-true"
    return "bf16-mixed" if cpu_has_bf16() else "32-true"


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
    if device == "cuda" and find_spec("triton") is None:
        return "Triton"
    return ""
