"""Trials: twenty real steps of a job before it is queued, to measure its speed and memory."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from filelock import FileLock, Timeout

from jobs.host import processes
from jobs.host.machine import describe_machine
from jobs.host.slots import environment_of, kind_of, slots_for, slots_of
from jobs.problems import LaunchError, TrialProblem
from tracking import runs
from tracking.layout import REPOSITORY
from tracking.store import Store

TRIAL = (sys.executable, "-m", "training.trial")
TIMEOUT_S = 300.0
# The additional time of a job for validation, checkpoints and startup.
OVERHEAD = 1.15


@dataclass(frozen=True)
class Trial:
    """The measurements of a few steps.

    Attributes:
        images_per_s: The speed on one device, None if there were too few images to measure it.
        peak_bytes: The peak memory of the process: on the GPU, or otherwise of the machine.
        iterations: The number of batches that were trained.
        train_images: The number of training images in an epoch.
    """

    images_per_s: float | None
    peak_bytes: int
    iterations: int
    train_images: int

    def expected_s(self, config: Mapping[str, Any]) -> float | None:
        """Estimate the seconds that the whole job will take at this speed, None if it was not measured."""
        if not self.images_per_s:
            return None
        devices = str(config["trainer"]["devices"])
        slots = slots_for(config["trainer"], describe_machine().slots)
        together = int(devices) if devices.isdigit() and slots and kind_of(slots[0]) == "cuda" else 1
        images = self.train_images * int(config["trainer"]["max_epochs"])
        return OVERHEAD * images / (self.images_per_s * together)


def try_out(store: Store, config: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> Trial:
    """Train a few batches in a separate process, on a free device, and measure.

    Args:
        store: The store whose jobs use devices.
        config: The complete configuration of a run.
        timeout_s: The time limit.

    Raises:
        OutOfMemory: There is not enough memory.
        LaunchError: No device is free, or the training failed.
        StoreUnavailable: The store cannot be read.
    """
    with _free_slot(store, config) as slot:
        return _try_on(slot, config, timeout_s)


def _try_on(slot: str, config: Mapping[str, Any], timeout_s: float) -> Trial:
    environment = {**os.environ, **environment_of([slot])}
    alone = {**config, "trainer": {**config["trainer"], "devices": 1}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trial.yaml"
        file.write_text(yaml.safe_dump(alone), encoding="utf-8")
        child = subprocess.Popen(
            [*TRIAL, "--config", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=REPOSITORY,
            env=environment,
        )
        began = None
        with suppress(psutil.NoSuchProcess):
            began = psutil.Process(child.pid).create_time()
        try:
            printed, complaints = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise LaunchError(TrialProblem.TOO_SLOW, limit_s=timeout_s) from None
        finally:
            if began is not None:  # also ends its data loader workers
                processes.kill_session(child.pid, began)
            child.wait()
    return _read(printed, complaints, child.returncode)


@contextmanager
def _free_slot(store: Store, config: Mapping[str, Any]) -> Iterator[str]:
    """Find a suitable device without a job, and keep other trials from using it."""
    busy = {slot: run for run in runs.list_ours(store, ["RUNNING"]) for slot in slots_of(run)}
    slots = slots_for(config["trainer"], describe_machine().slots)
    if not slots:
        raise LaunchError(TrialProblem.NO_DEVICE, accelerator=config["trainer"]["accelerator"])
    free = [slot for slot in slots if slot not in busy]
    if not free:
        raise LaunchError(TrialProblem.DEVICE_IN_USE, slot=slots[0], run=busy[slots[0]].name)
    for slot in free:
        try:
            # The name of a part of a GPU may contain slashes: MIG-GPU-.../1/0.
            name = re.sub(r"[^\w.-]", "-", slot)
            held = FileLock(store.root / f"trial-{name}.lock", timeout=0).acquire()
        except Timeout:
            continue
        with held:
            yield slot
        return
    raise LaunchError(TrialProblem.TRIAL_RUNS)


def _read(printed: str, complaints: str, code: int) -> Trial:
    try:
        found = json.loads(printed.splitlines()[-1])
    except (IndexError, ValueError):
        if code == -9:
            found = {"out_of_memory": True}
        else:
            last = complaints.strip().splitlines()[-1:] or [f"exit code {code}"]
            raise LaunchError(TrialProblem.FAILED, reason=last[0]) from None
    if found.get("out_of_memory"):
        raise OutOfMemory(TrialProblem.OUT_OF_MEMORY)
    if "error" in found:
        raise LaunchError(TrialProblem.FAILED, reason=found["error"])
    return Trial(**found)


class OutOfMemory(LaunchError):
    """A trial did not fit into the memory of its device."""
