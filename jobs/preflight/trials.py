"""Twenty real steps of a job before it is queued: how fast it is, and how much memory it takes."""

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

from jobs.errors import LaunchError
from jobs.host import processes
from jobs.host.machine import describe_machine
from jobs.host.slots import environment_of, kind_of, slots_for, slots_of
from tracking import runs
from tracking.layout import REPOSITORY
from tracking.store import Store

TRIAL = (sys.executable, "-m", "training.trial")
TIMEOUT_S = 300.0
# An epoch is more than its training steps: validation, checkpoints, the start.
OVERHEAD = 1.15


@dataclass(frozen=True)
class Trial:
    """What a few steps have shown.

    Attributes:
        images_per_s: On one device, None when there were too few images to measure it.
        peak_bytes: The most memory its process had: of the GPU, or else of the machine.
        iterations: Batches that were trained.
        train_images: In one epoch.
    """

    images_per_s: float | None
    peak_bytes: int
    iterations: int
    train_images: int

    def expected_s(self, config: Mapping[str, Any]) -> float | None:
        """Seconds that the whole job will take at this pace, about."""
        if not self.images_per_s:
            return None
        devices = str(config["trainer"]["devices"])
        slots = slots_for(config["trainer"], describe_machine().slots)
        together = int(devices) if devices.isdigit() and slots and kind_of(slots[0]) == "cuda" else 1
        images = self.train_images * int(config["trainer"]["max_epochs"])
        return OVERHEAD * images / (self.images_per_s * together)


def try_out(store: Store, config: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> Trial:
    """Train a few batches in a process of its own, on a device that is free, and measure.

    Args:
        store: Whose jobs have devices.
        config: A run's complete configuration.
        timeout_s: After which it is given up.

    Raises:
        LaunchError: No device is free, or it cannot be trained; memory that does not suffice is named.
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
            raise LaunchError(
                f"Twenty steps took more than {timeout_s:.0f} s; take smaller batches or images."
            ) from None
        finally:
            if began is not None:  # it, if it lives, and the processes that read images for it
                processes.kill_session(child.pid, began)
            child.wait()
    return _read(printed, complaints, child.returncode)


@contextmanager
def _free_slot(store: Store, config: Mapping[str, Any]) -> Iterator[str]:
    """Keep other trials from a device without a job that this one may have."""
    busy = {slot: run for run in runs.list_ours(store, ["RUNNING"]) for slot in slots_of(run)}
    slots = slots_for(config["trainer"], describe_machine().slots)
    if not slots:
        raise LaunchError(f"This machine has no {config['trainer']['accelerator']} to try it on.")
    free = [slot for slot in slots if slot not in busy]
    if not free:
        raise LaunchError(
            f"{slots[0]} is busy with {busy[slots[0]].name}: a trial beside it would measure nothing right. "
            f"Wait for it, stop it, or queue without a trial."
        )
    for slot in free:
        try:
            # A part of a GPU may be called MIG-GPU-.../1/0.
            name = re.sub(r"[^\w.-]", "-", slot)
            held = FileLock(store.root / f"trial-{name}.lock", timeout=0).acquire()
        except Timeout:
            continue
        with held:
            yield slot
        return
    raise LaunchError(
        "Twenty steps are being trained already, and a second trial beside them would measure nothing right. "
        "Try again when they are done."
    )


def _read(printed: str, complaints: str, code: int) -> Trial:
    try:
        found = json.loads(printed.splitlines()[-1])
    except (IndexError, ValueError):
        if code == -9:
            found = {"out_of_memory": True}
        else:
            last = complaints.strip().splitlines()[-1:] or [f"exit code {code}"]
            raise LaunchError(f"The trial failed: {last[0]}") from None
    if found.get("out_of_memory"):
        raise OutOfMemory("Memory does not suffice for one step; take smaller batches.")
    if "error" in found:
        raise LaunchError(f"The trial failed: {found['error']}")
    return Trial(**found)


class OutOfMemory(LaunchError):
    """A trial has shown that the memory of the device does not suffice."""
