"""Runs side by side: best and last values, settings that differ, the best of each architecture, CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracking.runs import Run, list_runs
from tracking.scaling import EFFICIENCY, SPEED
from tracking.series import Series, axis_values, read_series
from tracking.store import Store

HIGHER_IS_BETTER = frozenset({SPEED, EFFICIENCY})
# What the training process chose where the configuration left it open.
RESOLVED = ("precision", "device")


@dataclass(frozen=True)
class Summary:
    """One metric of one run in two numbers.

    Attributes:
        best: The lowest value (the highest where more is better), NaN when there is none.
        best_step: The optimiser step it was reached first.
        last: The value of the last step.
    """

    run: Run
    key: str
    best: float
    best_step: int
    last: float
    last_step: int


def best_and_last(store: Store, runs: Sequence[Run], keys: Sequence[str]) -> list[Summary]:
    """Return one summary for each run and metric that has values, in the order of both arguments.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    found: dict[tuple[str, str], Summary] = {}
    for run in runs:
        found |= {(run.run_id, key): kept for key in keys if (kept := _recall(store, run, key))}
    unread = [run for run in runs if any((run.run_id, key) not in found for key in keys)]
    series = read_series(store, [run.run_id for run in unread], keys)
    for run in unread:
        for key in keys:
            if len(points := series[run.run_id, key]):
                found[run.run_id, key] = _summarise(run, key, points)
                _keep(store, found[run.run_id, key])
    return [found[run.run_id, key] for run in runs for key in keys if (run.run_id, key) in found]


def differing_settings(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the settings in which runs differ, each with one value per run, empty where a run has none."""
    names = {name for run in runs for name in run.settings} | set(RESOLVED)
    values = {name: [run.params.get(name, "") for run in runs] for name in sorted(names)}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def best_per_architecture(store: Store, key: str = "val/error_top1") -> list[Summary]:
    """Return the best run of each architecture on each data source (and folder), best first.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    best: dict[tuple[str, str, str], Summary] = {}
    candidates = [run for run in list_runs(store) if key in run.metrics and run.architecture]
    for summary in best_and_last(store, candidates, [key]):
        run = summary.run
        group = (run.architecture, run.source, run.params.get("data.root", ""))
        if group not in best or _is_better(summary, best[group]):
            best[group] = summary
    sign = -1 if key in HIGHER_IS_BETTER else 1
    return sorted(best.values(), key=lambda summary: (np.isnan(summary.best), sign * summary.best))


def series_csv(store: Store, runs: Sequence[Run], keys: Sequence[str]) -> str:
    """Every point as a line of CSV: run, name, key, step, epoch, images, seconds, value.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    series = read_series(store, [run.run_id for run in runs], keys)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "name", "key", "step", "epoch", "images", "seconds", "value"])
    for run in runs:
        for key in keys:
            points = series[run.run_id, key]
            axes = [
                axis_values(run, points, axis).tolist() for axis in ("step", "epoch", "images", "seconds")
            ]
            for step, epoch, images, seconds, value in zip(*axes, points.values.tolist(), strict=True):
                writer.writerow(
                    [
                        run.run_id,
                        run.name,
                        key,
                        step,
                        _digits(epoch),
                        _digits(images),
                        round(seconds, 3),
                        value,
                    ]
                )
    return text.getvalue()


# Summaries of runs that have ended, whose histories do not change; a resumed run ends at another time.
_kept: dict[tuple[object, ...], Summary] = {}
MAX_KEPT = 20_000


def _identify(store: Store, run: Run, key: str) -> tuple[object, ...]:
    return store.root, store.server, run.run_id, run.ended_at, run.step, run.metrics.get(key), key


def _recall(store: Store, run: Run, key: str) -> Summary | None:
    kept = _kept.get(_identify(store, run, key)) if run.is_terminal else None
    return replace(kept, run=run) if kept else None


def _keep(store: Store, summary: Summary) -> None:
    if summary.run.is_terminal and not np.isnan(summary.last):
        while len(_kept) >= MAX_KEPT:
            _kept.pop(next(iter(_kept)), None)
        _kept[_identify(store, summary.run, summary.key)] = summary


def _summarise(run: Run, key: str, points: Series) -> Summary:
    # A diverged run's NaN is neither the best nor an error of ours.
    sign = -1.0 if key in HIGHER_IS_BETTER else 1.0
    cost = np.where(np.isnan(points.values), np.inf, sign * points.values)
    at = int(cost.argmin())
    return Summary(
        run=run,
        key=key,
        best=float(points.values[at]),
        best_step=int(points.steps[at]),
        last=float(points.values[-1]),
        last_step=int(points.steps[-1]),
    )


def _is_better(one: Summary, other: Summary) -> bool:
    if np.isnan(one.best) or np.isnan(other.best):
        return bool(np.isnan(other.best))
    return one.best > other.best if one.key in HIGHER_IS_BETTER else one.best < other.best


def _digits(value: float) -> str:
    """Six significant digits would do for epochs, but images are whole and can be many."""
    return "" if np.isnan(value) else f"{value:.10g}"
