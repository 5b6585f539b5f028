"""From what was tracked to lines on a chart: which metrics there are and how steps become other axes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dashboard.widgets import palette
from dashboard.widgets.charts import Line
from dashboard.widgets.formatting import metric_name
from tracking.runs import Run
from tracking.series import Series, axis_values, read_series
from tracking.store import Store

SPLITS = ("val", "train")
PERCENTAGES = ("error", "scaling", "data_wait")

SPLIT_NAMES: Mapping[str, str] = {"val": "Validation (solid)", "train": "Training (dashed)"}
X_NAMES: Mapping[str, str] = {"epoch": "Epoch", "step": "Step", "seconds": "Time", "images": "Images seen"}
# A unit of time and from how many seconds on it is read more easily.
TIME_UNITS = (("Hours", 3600.0, 7200.0), ("Minutes", 60.0, 300.0), ("Seconds", 1.0, 0.0))


def y_title(metric: str) -> str:
    """Name a metric for an axis, with its unit."""
    name = metric_name(metric)
    return name[:1].upper() + name[1:] + (", %" if metric.startswith(PERCENTAGES) else "")


def metric_choices(keys: Iterable[str]) -> list[str]:
    """Sort the metrics found in a store for a choice: errors first, then the loss, then the rest.

    Args:
        keys: `<split>/<name>`; what has no split is left out.
    """
    first = ("error_top1", "error_top5", "loss")
    names = {key.split("/", 1)[1] for key in keys if key.split("/", 1)[0] in SPLITS and "/" in key}
    return [name for name in first if name in names] + sorted(names.difference(first))


def read_lines(
    store: Store, runs: Sequence[Run], metric: str, x_axis: str = "epoch", splits: Sequence[str] = SPLITS
) -> list[Line]:
    """Read the curves of some runs, each run in one colour.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    keys = [f"{split}/{metric}" for split in splits]
    series = read_series(store, [run.run_id for run in runs], keys)
    return lines(runs, series, metric, x_axis, splits)


def lines(
    runs: Sequence[Run],
    series: Mapping[tuple[str, str], Series],
    metric: str,
    x_axis: str = "epoch",
    splits: Sequence[str] = SPLITS,
) -> list[Line]:
    """Turn series into lines; metrics that a run does not have are left out."""
    looks = run_looks(runs)
    found = []
    for run in runs:
        for split in splits:
            one = series.get((run.run_id, f"{split}/{metric}"))
            if one is None or not len(one):
                continue
            x = axis_values(run, one, x_axis).astype(np.float64)
            label, colour, symbol = looks[run.run_id]
            found.append(Line(label, colour, "val" if split == "val" else "train", x, one.values, symbol))
    return found


def in_units(lines: Sequence[Line], x_axis: str) -> tuple[list[Line], str]:
    """Return the lines a readable unit of time where they run over time, and the axis its title."""
    if x_axis != "seconds":
        return list(lines), X_NAMES[x_axis]
    longest = max((float(line.x[-1]) for line in lines), default=0.0)
    name, seconds, _ = next(unit for unit in TIME_UNITS if longest >= unit[2] or unit[2] == 0)
    return [replace(line, x=line.x / seconds) for line in lines], f"{name} of training"


def run_labels(runs: Sequence[Run]) -> dict[str, str]:
    """Return every run a label of its own: its name, with the beginning of its id where names are alike."""
    count = Counter(run.name for run in runs)
    return {
        run.run_id: run.name if count[run.name] == 1 else f"{run.name} ({run.run_id[:6]})" for run in runs
    }


def run_looks(runs: Sequence[Run]) -> dict[str, tuple[str, str, str]]:
    """Return every run a label, a colour and a mark.

    The colour belongs to the architecture. Where several runs share one, each is labelled by its own name and
    the shades and marks differ.
    """
    colours = palette.pick_colours(run.architecture for run in runs)
    labels = run_labels(runs)
    seen: Counter[str] = Counter()
    count = Counter(run.architecture for run in runs)
    looks = {}
    for run in runs:
        place = seen[run.architecture]
        seen[run.architecture] += 1
        label = labels[run.run_id] if count[run.architecture] > 1 else run.architecture
        colour = palette.shade(colours[run.architecture], place)
        looks[run.run_id] = (label, colour, palette.SYMBOLS[place % len(palette.SYMBOLS)])
    return looks
