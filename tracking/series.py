"""The history of metrics as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from problems import InvalidValue
from tracking.entities import Point
from tracking.problems import Wrong
from tracking.runs import Run, reader
from tracking.store import Store

AXES = ("epoch", "step", "seconds", "images")
# The steps after which a run was resumed, separated by blanks.
RESUMED_STEPS = "job.resumed_steps"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One metric of one run; three arrays of the same length in the order of steps.

    Attributes:
        steps: Optimiser steps, strictly increasing, int64.
        values: NaN where the run logged NaN.
        times: Unix seconds.
    """

    steps: npt.NDArray[np.int64]
    values: Floats
    times: Floats

    def __len__(self) -> int:
        return len(self.steps)


def read_series(store: Store, run_ids: Sequence[str], keys: Sequence[str]) -> dict[tuple[str, str], Series]:
    """Read the series of every (run id, key), empty ones included.

    Of a step that was logged several times, the last value counts. A resumed run repeats the steps after its
    checkpoint: as far as it has come again, nothing counts that it logged for them before. Every other step
    counts, whatever the clock showed.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    pairs = [(run_id, key) for run_id in run_ids for key in keys]
    resumed = {
        run_id: resumed_steps(tags) for run_id, tags in reader(store).read_tags(store, run_ids).items()
    }
    points = reader(store).read_points(store, pairs)
    return {pair: _series(points[pair], resumed[pair[0]]) for pair in pairs}


def resumed_steps(tags: Mapping[str, str]) -> list[int]:
    """Return the steps after which a run was resumed, in order. Older versions recorded only the last one."""
    text = tags.get(RESUMED_STEPS) or tags.get("job.resumed_step", "")
    return [int(word) for word in text.split() if word.isdecimal()]


def metric_keys(store: Store, run_ids: Sequence[str]) -> list[str]:
    """Return the metrics that any of these runs has, in alphabetical order. Raises StoreUnavailable."""
    return sorted(reader(store).read_keys(store, run_ids))


def axis_values(run: Run, series: Series, axis: str) -> npt.NDArray[Any]:
    """Where the points of a series lie: `epoch`, `step`, `seconds` since the start, or `images` seen.

    NaN where the training process has not said how many steps make an epoch, or images a step.

    Raises:
        ValueError: There is no such axis.
    """
    if axis == "step":
        return series.steps
    if axis == "seconds":
        return series.times - (run.started_at or run.created_at)
    if axis == "epoch":
        return series.steps / (run.number("steps_per_epoch") or np.nan)
    if axis == "images":
        return series.steps * (run.number("images_per_step") or np.nan)
    raise InvalidValue(Wrong.NO_AXIS, axis=axis, axes=", ".join(AXES))


def _series(points: Sequence[Point], resumed: Sequence[int]) -> Series:
    table = np.array(points, dtype=np.float64).reshape(-1, 3)
    steps = table[:, 0]
    counts = np.ones(len(table), bool)
    end, left = len(table), list(resumed)
    # From the last time that steps were repeated to the first.
    for start in (np.flatnonzero(np.diff(steps) <= 0) + 1)[::-1] if left else ():
        while left and left[-1] >= steps[start]:
            left.pop()  # resumed without having lost a step
        if left:
            before = steps[:start]
            counts[:start] &= (before <= left.pop()) | (before > steps[start:end].max())
            end = start
    table = table[counts]
    _, last = np.unique(table[::-1, 0], return_index=True)
    steps, values, milliseconds = table[len(table) - 1 - last].T
    values = np.where(np.abs(values) >= np.finfo(np.float64).max, np.copysign(np.inf, values), values)
    return Series(steps.astype(np.int64), values, milliseconds / 1000)
