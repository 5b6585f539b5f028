"""What the Compare page shows of the chosen runs: table, marks for the scatter, settings that differ."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from dashboard.runs.curves import SPLITS, X_NAMES, run_labels, run_looks
from dashboard.runs.rows import setting_text
from dashboard.widgets import formatting, palette
from dashboard.widgets.address import Field, is_yes, one_of
from dashboard.widgets.charts import Mark
from tracking.comparison import Summary, best_and_last, differing_settings
from tracking.runs import Run
from tracking.store import Store

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.published import PublishedError

TABLE_METRICS: Mapping[str, str] = {"val/error_top1": "Top-1", "val/error_top5": "Top-5", "val/loss": "Loss"}
COSTS: Mapping[str, str] = {"parameters": "Parameters", "macs": "MACs for one image"}


def comparable(runs: Sequence[Run]) -> list[Run]:
    """Keep the runs that have something to compare, newest first."""
    return [run for run in runs if run.metrics]


def default_choice(runs: Sequence[Run]) -> list[str]:
    """Choose the latest finished run of each architecture; without one, the latest of any status.

    Args:
        runs: newest first.
    """
    latest: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.status != "FINISHED"):
        latest.setdefault(run.architecture, run)
    return [latest[key].run_id for key in palette.in_order(latest)]


def run_field(runs: Sequence[Run]) -> dict[str, Field]:
    """Name the field of the chosen runs.

    Args:
        runs: those that can be chosen, newest first.
    """
    # In the address even where nobody chose: the default is another one after the next run.
    known = one_of({run.run_id for run in runs})
    return {"runs": Field(default_choice(runs), known, many=True, always=True)}


def curve_fields(metrics: Sequence[str]) -> dict[str, Field]:
    """Name the fields above the curves, for the metrics that there are."""
    return {
        "metric": Field(next(iter(metrics), None), one_of(metrics)),
        "across": Field("epoch", one_of(X_NAMES)),
        "splits": Field(list(SPLITS), one_of(SPLITS), many=True),
        "log": Field(False, is_yes),
    }


def setting_rows(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Describe each run by the settings in which the runs differ, nothing where they do not."""
    differing = differing_settings(runs)
    labels = run_labels(runs)
    return [
        {
            "Run": labels[run.run_id],
            **{name: values[place] or formatting.NOTHING for name, values in differing.items()},
        }
        for place, run in enumerate(runs)
        if differing
    ]


def table_rows(store: Store, runs: Sequence[Run]) -> list[dict[str, object]]:
    """Describe each run in one row: best and last errors, size, cost, speed, time.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    found = {(one.run.run_id, one.key): one for one in best_and_last(store, runs, list(TABLE_METRICS))}
    labels = run_labels(runs)
    return [_row(run, labels[run.run_id], found) for run in runs]


def run_marks(runs: Sequence[Run], best: Sequence[Summary], cost: str) -> list[Mark]:
    """Place each run by its best error on val and its cost.

    Args:
        runs: all that are shown, which decides on their colours.
        best: the error of each run; one that does not know its cost yet is left out.
        cost: `parameters` or `macs`.
    """
    looks = run_looks(runs)
    marks = []
    for one in best:
        amount = getattr(one.run, cost)
        if not amount:
            continue
        label, colour, symbol = looks[one.run.run_id]
        name = formatting.metric_name(one.key.removeprefix("val/"))
        detail = (
            f"<b>{escape(label)}</b>: {formatting.percent(one.best)} {name}<br>"
            f"{formatting.exact_count(amount)} {COSTS[cost].lower()}<br>"
            f"measured here on {setting_text(one.run)}, best epoch"
        )
        marks.append(Mark(label, colour, float(amount), one.best, False, detail, symbol))
    return marks


def published_marks(
    architectures: "Mapping[str, Architecture]", keys: Sequence[str], metric: str, costs: Mapping[str, int]
) -> list[Mark]:
    """Place what the paper of each network published, with its protocol.

    Args:
        architectures: all networks.
        keys: those to show.
        metric: `error_top1` or `error_top5`.
        costs: parameters or MACs of each network at the paper's size.
    """
    colours = palette.pick_colours(keys)
    marks = []
    for key in dict.fromkeys(keys):
        published = first_published(architectures[key], metric)
        if published is None:
            continue
        value = _value(published, metric)
        detail = (
            f"<b>{architectures[key].name}</b>: {formatting.percent(value)} "
            f"{formatting.metric_name(metric)}<br>"
            f"published, not measured here<br>{published.split}, {published.protocol}<br>{published.origin}"
        )
        marks.append(Mark(key, colours[key], float(costs[key]), float(value or 0), True, detail))
    return marks


def first_published(architecture: "Architecture", metric: str) -> "PublishedError | None":
    """Find the paper's own error by its simplest protocol, or the first other one that has the metric."""
    return next((one for one in architecture.published if _value(one, metric) is not None), None)


def _value(published: "PublishedError", metric: str) -> float | None:
    return published.top1 if metric == "error_top1" else published.top5


def _row(run: Run, label: str, found: Mapping[tuple[str, str], Summary]) -> dict[str, object]:
    row: dict[str, object] = {"Run": label, "Network": run.architecture}
    for key, name in TABLE_METRICS.items():
        summary = found.get((run.run_id, key))
        row[f"{name} best"] = None if summary is None else summary.best
        row[f"{name} last"] = None if summary is None else summary.last
    row["Parameters"] = run.parameters
    row["MACs"] = run.macs
    row["Images/s"] = run.images_per_s
    row["Took"] = formatting.duration(run.duration_s)
    row["Trained on"] = setting_text(run)
    return row
