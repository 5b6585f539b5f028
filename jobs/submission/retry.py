"""The same run once more, with batches that fit into the memory and steps as large as before, or nearly."""

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from jobs.submission.submit import submit
from tracking import runs
from tracking.runs import Run
from tracking.store import Store
from training.batches import RETRY_BATCH, smaller_batch, step_text
from training.problems import FAILURE, Failure


def batch_to_try(run: Run) -> int | None:
    """The batch with which a run that ran out of memory should be tried again, None for all others."""
    value = run.tags.get(RETRY_BATCH, "")
    return int(value) if run.status == "FAILED" and value.isdecimal() else None


def memory_tags(run: Run) -> dict[str, str]:
    """Return the tags of a run that the kernel killed because the main memory was full."""
    smaller = smaller_batch(int(run.number("data.batch_size") or 1))
    tags = {FAILURE: Failure.OUT_OF_MEMORY.value}
    return tags | ({RETRY_BATCH: str(smaller)} if smaller else {})


def with_batch(config: Mapping[str, Any], batch_size: int) -> dict[str, Any]:
    """The same configuration with smaller batches, and gradients of as many added up as make the old one.

    Args:
        config: A run's YAML.
        batch_size: Of which a whole number makes the present one, or lacks less than one image each.

    Raises:
        ValueError: None does.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    before = changed["data"]["batch_size"]
    if not 0 < batch_size < before or before % batch_size >= before // batch_size:
        fitting = [str(size) for size in range(1, before) if before % size == 0]
        choice = f"take one of: {', '.join(fitting)}" if fitting else "there is none below one image"
        raise ValueError(f"batch_size is {batch_size}; to keep the images a step, {choice}.")
    times = changed["trainer"].get("accumulate_grad_batches") or 1
    changed["data"]["batch_size"] = batch_size
    changed["trainer"]["accumulate_grad_batches"] = times * before // batch_size
    return changed


def retry(store: Store, run_id: str, batch_size: int | None = None) -> str:
    """Queue a run once more with smaller batches; returns the id of the new one.

    Args:
        store: Where it is.
        run_id: A run that has ended.
        batch_size: By default what the run itself says would fit.

    Raises:
        LaunchError: The configuration cannot work.
        StoreUnavailable: The store cannot be used.
        ValueError: There is no such run, it is active, or no such batch keeps the images a step.
    """
    run = runs.get_run(store, run_id)
    if run.is_active:
        raise ValueError(f"{run.name} is {run.status}; only one that has ended is tried again.")
    config = yaml.safe_load(runs.read_config(store, run_id))
    if batch_size is None:
        batch_size = batch_to_try(run) or smaller_batch(config["data"]["batch_size"]) or 0
    return submit(store, with_batch(config, batch_size))


def describe_step(before: Run, again: Run) -> str:
    """Say what a step of a run that was tried again is made of: `2 batches of 32 a step, still 64 images`."""
    (size, count), (old_size, old_count) = _batches(again), _batches(before)
    made = step_text(size, count, old_size * old_count)
    return f"{count} batches of {size} a step, {made}"


def _batches(run: Run) -> tuple[int, int]:
    return int(run.params["data.batch_size"]), int(run.params.get("trainer.accumulate_grad_batches", 1))
