"""Retrying a run with smaller batches that fit into memory, with (nearly) the same images per step."""

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from jobs.problems import Refused
from jobs.submission.submit import submit
from problems import InvalidValue
from tracking import runs
from tracking.runs import Run
from tracking.store import Store
from training.batches import RETRY_BATCH, smaller_batch, step_text
from training.problems import FAILURE, Failure


def batch_to_try(run: Run) -> int | None:
    """Return the batch size to retry a run with that ran out of memory, None for other runs."""
    value = run.tags.get(RETRY_BATCH, "")
    return int(value) if run.status == "FAILED" and value.isdecimal() else None


def memory_tags(run: Run) -> dict[str, str]:
    """Return the tags that suggest a smaller batch size for a run that ran out of memory."""
    smaller = smaller_batch(int(run.number("data.batch_size") or 1))
    tags = {FAILURE: Failure.OUT_OF_MEMORY.value}
    return tags | ({RETRY_BATCH: str(smaller)} if smaller else {})


def with_batch(config: Mapping[str, Any], batch_size: int) -> dict[str, Any]:
    """Return the configuration with smaller batches, more of which are accumulated per step.

    Args:
        config: The configuration of a run.
        batch_size: The new batch size. It should divide the present one; when `n` batches are accumulated,
            up to `n - 1` images may be left over.

    Raises:
        InvalidValue: More images would be left over.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    before = changed["data"]["batch_size"]
    if not 0 < batch_size < before or before % batch_size >= before // batch_size:
        if before == 1:
            raise InvalidValue(Refused.NO_SMALLER_BATCH)
        choices = ", ".join(str(size) for size in range(1, before) if before % size == 0)
        raise InvalidValue(Refused.BATCH_SIZE, batch_size=batch_size, choices=choices)
    times = changed["trainer"].get("accumulate_grad_batches") or 1
    changed["data"]["batch_size"] = batch_size
    changed["trainer"]["accumulate_grad_batches"] = times * before // batch_size
    return changed


def retry(store: Store, run_id: str, batch_size: int | None = None) -> str:
    """Queue a copy of a run with smaller batches and return its id.

    Args:
        store: The store with the run.
        run_id: The id of a run that has ended.
        batch_size: The batch size; by default the one suggested by the run, or else at most half.

    Raises:
        LaunchError: The configuration cannot work.
        StoreUnavailable: The store cannot be used.
        InvalidValue: There is no such run, it is active, or the batch size does not keep the images per step.
    """
    run = runs.get_run(store, run_id)
    if run.is_active:
        raise InvalidValue(Refused.NOT_RETRYABLE, name=run.name, status=run.status)
    config = yaml.safe_load(runs.read_config(store, run_id))
    if batch_size is None:
        batch_size = batch_to_try(run) or smaller_batch(config["data"]["batch_size"]) or 0
    return submit(store, with_batch(config, batch_size))


def describe_step(before: Run, again: Run) -> str:
    """Describe a step of a run that was retried: `2 batches of 32 per step, still 64 images`."""
    (size, count), (old_size, old_count) = _batches(again), _batches(before)
    made = step_text(size, count, old_size * old_count)
    return f"{count} batches of {size} per step, {made}"


def _batches(run: Run) -> tuple[int, int]:
    return int(run.params["data.batch_size"]), int(run.params.get("trainer.accumulate_grad_batches", 1))
