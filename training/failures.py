"""Why a training process failed, in one sentence that says what to do."""

import errno
import re
from collections.abc import Iterator

import torch

from training.batches import RETRY_BATCH, smaller_batch, step_text

# In the words of CUDA and the driver; of cuBLAS, cuDNN and their kin; of MPS; of the processor's allocator.
_MEMORY = re.compile(
    r"out of memory|ERROR_OUT_OF_MEMORY|ALLOC_FAILED|Invalid buffer size|not enough memory"
    r"|(can.t|cannot) allocate memory|unable to allocate",
    re.I,
)
_WORKER = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is .* signal: ([\w ]+)|exited)")
_PEER = re.compile(
    r"Connection (closed|reset) by (remote )?peer|ncclRemoteError|gloo.*Broken pipe"
    r"|^Broken pipe$|Failed to recv, got 0 bytes"  # while they connect
)


def describe(error: BaseException, batch_size: int) -> tuple[str, dict[str, str]]:
    """Returns why, and the tags which let somebody try again.

    Args:
        error: What ended the training.
        batch_size: Images a step on each device.
    """
    chain = list(causes(error))
    texts = " ".join(str(one) for one in chain)
    if worker := _WORKER.search(texts):
        return _worker_sentence(worker[1], worker[2] or "", texts), {}
    if is_out_of_memory(error):
        return _memory_sentence(batch_size)
    if any(isinstance(one, OSError) and one.errno == errno.ENOSPC for one in chain):
        file = next((one.filename for one in chain if isinstance(one, OSError) and one.filename), "a file")
        return f"The disk is full: {file} cannot be written. Make room and resume the run.", {}
    if misses_a_peer(error):
        return "Another process of this run died; the log may say why. Resume the run.", {}
    return next(iter(f"{type(error).__name__}: {error}".splitlines())), {}


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether memory did not suffice, of the device or of the machine."""
    return any(
        isinstance(one, MemoryError | torch.OutOfMemoryError) or _MEMORY.search(str(one))
        for one in causes(error)
    )


def misses_a_peer(error: BaseException) -> bool:
    """Returns whether another process of the run has gone, so that it is there that something is wrong."""
    return any(_PEER.search(str(one)) for one in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _memory_sentence(batch_size: int) -> tuple[str, dict[str, str]]:
    is_on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    place = torch.cuda.get_device_name() if is_on_gpu else "this machine"
    smaller = smaller_batch(batch_size)
    if smaller is None:
        return f"Out of memory on {place}, with single images; take smaller images or another network.", {}
    count = batch_size // smaller
    sentence = (
        f"Out of memory: batches of {batch_size} do not fit on {place}; try {smaller}, "
        f"{count} of them a step: {step_text(smaller, count, batch_size)}."
    )
    return sentence, {RETRY_BATCH: str(smaller)}


def _worker_sentence(pid: str, signal: str, texts: str) -> str:
    how = f"died ({signal.lower()})" if signal else "ended unexpectedly"
    if "shared memory" in texts or signal == "Bus error":
        return (
            f"A process that loads images (number {pid}) {how}: the shared memory (/dev/shm) is full; "
            "take fewer workers or enlarge it, and resume the run."
        )
    hint = ", often for lack of main memory; take fewer workers" if signal == "Killed" else "; see the log"
    return f"A process that loads images (number {pid}) {how}{hint}, and resume the run."
