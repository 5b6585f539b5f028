"""Why a training process failed: a code, and one sentence that includes what to do."""

import errno
import re
from collections.abc import Iterator

import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from datamodules.problems import DataError
from problems import Problem
from tracking.problems import StoreUnavailable
from training.batches import RETRY_BATCH, smaller_batch, step_text
from training.problems import FAILURE, FailedTraining, Failure, TrainingDiverged

# These texts are matched because PyTorch, CUDA and the communication libraries raise a RuntimeError for
# everything and have no codes. Messages of CUDA and its driver; of cuBLAS, cuDNN and similar libraries; of
# MPS; of the CPU's allocator.
_MEMORY = re.compile(
    r"out of memory|ERROR_OUT_OF_MEMORY|ALLOC_FAILED|Invalid buffer size|not enough memory"
    r"|(can.t|cannot) allocate memory|unable to allocate",
    re.I,
)
_LOADER = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is .* signal: ([\w ]+)|exited)")
_PEER = re.compile(
    r"Connection (closed|reset) by (remote )?peer|ncclRemoteError|gloo.*Broken pipe"
    r"|^Broken pipe$|Failed to recv, got 0 bytes"  # while they connect
)

# What a user can put right: these errors have a sentence of their own.
EXPLAINED = (Problem, ValueError, DataError, MisconfigurationException)


def describe(error: BaseException, batch_size: int) -> tuple[str, dict[str, str]]:
    """Describe why a training failed.

    Args:
        error: The error that ended the training.
        batch_size: Number of images per step on each device.

    Returns:
        One sentence, and tags for the run: always `FAILURE`, and `RETRY_BATCH` where a smaller batch may fit.
    """
    failure = classify(error)
    tags = {FAILURE: failure.value}
    if isinstance(error, EXPLAINED):
        return str(error), tags
    match failure:
        case Failure.LOADER_DIED:
            return _describe_loader(error), tags
        case Failure.OUT_OF_MEMORY:
            return _describe_memory(batch_size, tags), tags
        case Failure.DISK_FULL:
            files = (one.filename for one in causes(error) if isinstance(one, OSError) and one.filename)
            return str(Problem(FailedTraining.DISK_FULL, file=next(files, "a file"))), tags
        case Failure.PROCESS_DIED:
            return str(Problem(FailedTraining.PROCESS_DIED)), tags
    said = next(iter(str(error).splitlines()), "")
    return str(Problem(FailedTraining.OTHER, kind=type(error).__name__, said=said)), tags


def classify(error: BaseException) -> Failure:
    """Return why a training failed.

    Args:
        error: The error that ended the training.
    """
    chain = list(causes(error))
    if isinstance(error, TrainingDiverged):
        return Failure.NAN
    if isinstance(error, DataError):
        return Failure.DATA
    if any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT) for one in chain):
        return Failure.DISK_FULL
    if isinstance(error, StoreUnavailable):
        return Failure.STORE
    if isinstance(error, EXPLAINED):
        return Failure.SETTINGS
    if _find_loader(error):
        return Failure.LOADER_DIED
    if is_out_of_memory(error):
        return Failure.OUT_OF_MEMORY
    return Failure.PROCESS_DIED if misses_a_peer(error) else Failure.OTHER


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the device or the machine ran out of memory."""
    return any(
        isinstance(one, MemoryError | torch.OutOfMemoryError) or _MEMORY.search(str(one))
        for one in causes(error)
    )


def misses_a_peer(error: BaseException) -> bool:
    """Return whether another process of the run is gone, which then has the actual error."""
    return any(_PEER.search(str(one)) for one in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _describe_memory(batch_size: int, tags: dict[str, str]) -> str:
    is_on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    device = torch.cuda.get_device_name() if is_on_gpu else "this machine"
    smaller = smaller_batch(batch_size)
    if smaller is None:
        return str(Problem(FailedTraining.OUT_OF_MEMORY_WITH_ONE_IMAGE, device=device))
    tags[RETRY_BATCH] = str(smaller)
    count = batch_size // smaller
    values = {"batch_size": batch_size, "device": device, "smaller": smaller, "count": count}
    step = step_text(smaller, count, batch_size)
    return str(Problem(FailedTraining.OUT_OF_MEMORY, step=step, **values))


def _find_loader(error: BaseException) -> re.Match[str] | None:
    return _LOADER.search(" ".join(map(str, causes(error))))


def _describe_loader(error: BaseException) -> str:
    found = _find_loader(error)
    assert found is not None
    pid, signal = found[1], found[2] or ""
    if signal == "Bus error" or any("shared memory" in str(one) for one in causes(error)):
        code = FailedTraining.LOADER_SHARED_MEMORY
    else:
        code = FailedTraining.LOADER_KILLED if signal == "Killed" else FailedTraining.LOADER_DIED
    ended = f"died ({signal.lower()})" if signal else "ended unexpectedly"
    return str(Problem(code, pid=pid, ended=ended))
