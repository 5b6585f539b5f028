"""Every way in which training fails is one sentence."""

import errno

import pytest
import torch

from training import trial
from training.batches import smaller_batch
from training.failures import describe, is_out_of_memory


@pytest.mark.parametrize(
    ("error", "sentence", "retry_batch"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB."),
            "Out of memory: batch",
            "32",
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "Out of memory: batch", "32"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), "try 32", "32"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "Out of memory", "32"),
        (MemoryError(), "Out of memory", "32"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), "Out of memory", "32"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            "Out of memory",
            "32",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "Out of memory", "32"),
        (RuntimeError("CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY"), "Out of memory", "32"),
        (RuntimeError("Invalid buffer size: 24.41 GiB"), "Out of memory", "32"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "The disk is full: /data/x", None),
        (
            RuntimeError("DataLoader worker (pid 123) is killed by signal: Killed. "),
            "lack of main memory",
            None,
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), "shared memory", None),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "number 7, 8) ended", None),
        (RuntimeError("[/x/pair.cc:553] Connection closed by peer [127.0.0.1]"), "Another process", None),
        (KeyError("weight"), "KeyError: 'weight'", None),
        (RuntimeError(""), "RuntimeError: ", None),
    ],
)
def test_one_sentence(error: Exception, sentence: str, retry_batch: str | None) -> None:
    told, tags = describe(error, 64)
    assert sentence in told and "\n" not in told
    assert tags.get("job.retry_batch") == retry_batch


def test_a_trial_and_a_run_know_memory_by_the_same_words() -> None:
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"))
    assert trial.is_out_of_memory is is_out_of_memory


def test_the_cause_counts() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x")
        except OSError as error:
            raise RuntimeError("file write failed") from error
    except RuntimeError as error:
        assert describe(error, 8)[0].startswith("The disk is full: /tmp/x")


def test_smaller_batches_make_the_same_steps() -> None:
    assert [smaller_batch(size) for size in (1, 2, 7, 9, 96, 256)] == [None, 1, 2, 3, 48, 128]
    told, tags = describe(MemoryError(), 509)
    assert (
        "try 169, 3 of them a step: 507 images instead of 509." in told and tags["job.retry_batch"] == "169"
    )
    told, tags = describe(MemoryError(), 1)
    assert "with single images; take smaller images" in told and tags == {}
