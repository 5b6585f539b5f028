"""The history of metrics as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from problems import InvalidValue
from tracking.problems import Wrong
from tracking.runs import Run, reader
from tracking.store import Store

AXES = ("epoch", "step", "seconds", "images")

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
    """The series of every (run id, key), empty ones included.

    A resumed run repeats the steps between its checkpoint and its end: what it logged of them before does
    not count.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    pairs = [(run_id, key) for run_id in run_ids for key in keys]
    return {pair: _series(points) for pair, points in reader(store).read_points(store, pairs).items()}


def metric_keys(store: Store, run_ids: Sequence[str]) -> list[str]:
    """The metrics that any of these runs has, in alphabetical order. Raises StoreUnavailable."""
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


def _series(points: Sequence[tuple[int, float | None, int]]) -> Series:
    table = np.array(points, dtype=np.float64).reshape(-1, 3)
    table = table[np.lexsort((table[:, 1], table[:, 0], table[:, 2]))]  # as they were logged
    following = np.append(np.minimum.accumulate(table[:0:-1, 0])[::-1], [np.inf] * bool(len(table)))
    stands = table[:, 0] < following  # nothing that was logged later is of the same step or an earlier one
    steps, values, milliseconds = table[stands].T
    values = np.where(np.abs(values) >= np.finfo(np.float64).max, np.copysign(np.inf, values), values)
    return Series(steps.astype(np.int64), values, milliseconds / 1000)
