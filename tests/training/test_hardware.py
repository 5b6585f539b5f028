"""What the machine is good at."""

import sys

import pytest
import torch

from training.hardware import choose_precision, cpu_has_bf16, keep_freed_memory


def test_precision_follows_the_accelerator() -> None:
    expected = "bf16-mixed" if cpu_has_bf16() else "32-true"
    assert choose_precision("cpu") == expected
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert choose_precision("auto") == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_the_allocator_takes_the_settings() -> None:
    assert keep_freed_memory()
