"""From what was tracked to lines on a chart: which metrics there are and how steps become other axes."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dashboard import palette
from dashboard.charts import Line
from dashboard.formatting import metric_name
from tracking.runs import Run
from tracking.series import Series, axis_values, read_series
from tracking.store import Store

SPLITS = ("val", "train")

SPLIT_NAMES: Mapping[str, str] = {"val": "Validation (solid)", "train": "Training (dashed)"}
X_NAMES: Mapping[str, str] = {"epoch": "Epoch", "step": "Step", "seconds": "Time", "images": "Images seen"}
X_TITLES: Mapping[str, str] = {**X_NAMES, "seconds": "Seconds of training"}


def y_title(metric: str) -> str:
    """Name a metric for an axis, with its unit."""
    name = metric_name(metric)
    return name[:1].upper() + name[1:] + (", %" if metric.startswith("error") else "")


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


def run_looks(runs: Sequence[Run]) -> dict[str, tuple[str, str, str]]:
    """Give every run a label, a colour and a mark.

    The colour belongs to the architecture. Where several runs share one, each is labelled by its own name and
    the shades and marks differ.
    """
    colours = palette.pick_colours(run.architecture for run in runs)
    seen: dict[str, int] = {}
    count = {key: sum(run.architecture == key for run in runs) for key in colours}
    looks = {}
    for run in runs:
        place = seen.get(run.architecture, 0)
        seen[run.architecture] = place + 1
        label = run.name if count[run.architecture] > 1 else run.architecture
        colour = palette.shade(colours[run.architecture], place)
        looks[run.run_id] = (label, colour, palette.SYMBOLS[place % len(palette.SYMBOLS)])
    return looks
