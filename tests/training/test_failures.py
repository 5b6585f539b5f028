"""Every way in which training fails has a code and one sentence."""

import errno

import pytest
import torch

from datamodules.problems import DataError, Root
from problems import InvalidValue
from tracking.problems import StoreUnavailable, Unavailable
from training import trial
from training.batches import RETRY_BATCH, smaller_batch
from training.failures import describe, is_out_of_memory
from training.problems import FAILURE, Diverged, Failure, InvalidSettings, TrainingDiverged


@pytest.mark.parametrize(
    ("error", "failure", "named"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB."),
            Failure.OUT_OF_MEMORY,
            "try 32",
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), Failure.OUT_OF_MEMORY, "try 32"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
            Failure.OUT_OF_MEMORY,
            "try 32",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Failure.OUT_OF_MEMORY, "try 32"),
        (MemoryError(), Failure.OUT_OF_MEMORY, "try 32"),
        (
            RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"),
            Failure.OUT_OF_MEMORY,
            "try 32",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            Failure.OUT_OF_MEMORY,
            "try 32",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), Failure.OUT_OF_MEMORY, "try 32"),
        (RuntimeError("CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY"), Failure.OUT_OF_MEMORY, "try 32"),
        (RuntimeError("Invalid buffer size: 24.41 GiB"), Failure.OUT_OF_MEMORY, "try 32"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), Failure.DISK_FULL, "/data/x"),
        (
            RuntimeError("DataLoader worker (pid 123) is killed by signal: Killed. "),
            Failure.LOADER_DIED,
            "process 123 died (killed)",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."),
            Failure.LOADER_DIED,
            "/dev/shm",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"),
            Failure.LOADER_DIED,
            "process 7, 8 ended",
        ),
        (RuntimeError("[/x/pair.cc:553] Connection closed by peer [127.0.0.1]"), Failure.PROCESS_DIED, ""),
        (DataError(Root.NOT_NAMED, wanted="/x"), Failure.DATA, "/x"),
        (
            TrainingDiverged(Diverged.WITHOUT_CHECKPOINT, what="the loss is nan", step=3, learning_rate=0.1),
            Failure.NAN,
            "step 3",
        ),
        (InvalidValue(InvalidSettings.NO_DEVICES), Failure.SETTINGS, "devices"),
        (StoreUnavailable(Unavailable.NOT_A_FOLDER, root="/x"), Failure.STORE, "/x"),
        (KeyError("weight"), Failure.OTHER, "KeyError: 'weight'"),
        (RuntimeError(""), Failure.OTHER, "RuntimeError: "),
    ],
)
def test_every_failure_has_a_code_and_one_sentence(error: Exception, failure: Failure, named: str) -> None:
    sentence, tags = describe(error, 64)
    assert tags == {FAILURE: failure} | ({RETRY_BATCH: "32"} if failure is Failure.OUT_OF_MEMORY else {})
    assert named in sentence and "\n" not in sentence


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
        sentence, tags = describe(error, 8)
        assert tags == {FAILURE: Failure.DISK_FULL} and "/tmp/x" in sentence


def test_smaller_batches_make_the_same_steps() -> None:
    assert [smaller_batch(size) for size in (1, 2, 7, 9, 96, 256)] == [None, 1, 2, 3, 48, 128]
    sentence, tags = describe(MemoryError(), 509)
    assert "507 images instead of 509" in sentence and tags[RETRY_BATCH] == "169"
    assert RETRY_BATCH not in describe(MemoryError(), 1)[1]
