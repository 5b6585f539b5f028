"""What the machine is good at."""

import sys
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer

from tests.refusals import refused
from training.hardware import check_trainer, choose_precision, cpu_has_bf16, keep_freed_memory
from training.problems import InvalidSettings


def test_precision_follows_the_accelerator() -> None:
    expected = "bf16-mixed" if cpu_has_bf16() else "32-true"
    assert choose_precision("cpu") == expected
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert choose_precision("auto") == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_the_allocator_takes_the_settings() -> None:
    assert keep_freed_memory()


@pytest.mark.parametrize(("named", "wanted"), [(None, "g++"), ("icpx-of-nobody", "icpx-of-nobody")])
def test_compilation_needs_a_compiler(
    named: str | None, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(1)
    monkeypatch.setenv("PATH", str(tmp_path))
    if named is None:
        monkeypatch.delenv("CXX", raising=False)
    else:
        monkeypatch.setenv("CXX", named)
    check_trainer(trainer, sync_batchnorm=False, compile=False)
    with refused(InvalidSettings.NO_COMPILER, missing=f"a C++ compiler ({wanted})"):
        check_trainer(trainer, sync_batchnorm=False, compile=True)
    compiler = tmp_path / (named or "clang++")
    compiler.touch(mode=0o755)
    check_trainer(trainer, sync_batchnorm=False, compile=True)


def test_normalisation_over_all_devices_needs_gpus() -> None:
    check_trainer(trainer_of(1), sync_batchnorm=True, compile=False)
    with refused(InvalidSettings.SYNC_BATCHNORM_ON_CPU):
        check_trainer(trainer_of(2), sync_batchnorm=True, compile=False)


def test_a_cluster_has_to_start_as_many_processes_as_there_are_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"NTASKS": "1", "JOB_ID": "1", "JOB_NAME": "train", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in told.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    check_trainer(trainer_of(1), sync_batchnorm=False, compile=False)
    with refused(InvalidSettings.PROCESSES, requested=2, started=1):
        check_trainer(trainer_of(2), sync_batchnorm=False, compile=False)


def trainer_of(devices: int) -> Trainer:
    return Trainer(accelerator="cpu", devices=devices, logger=False, enable_checkpointing=False)
