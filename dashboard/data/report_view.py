"""What the check of a data set has found, and starting it."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.data.commands import offer
from dashboard.data.data_sets import DataSet
from dashboard.data.job_rows import show_jobs
from dashboard.widgets import formatting
from datamodules.checks import reports
from datamodules.checks.reports import CheckReport, Finding, SplitSummary

BADGES: Mapping[str, tuple[str, str, str]] = {
    "error": ("red", "error", "Error"),
    "warning": ("orange", "warning", "Warning"),
    "note": ("gray", "info", "Note"),
}
SPLIT_NAMES = {"train": "Training", "val": "Validation"}


def show_check(data_set: DataSet) -> None:
    """Show the latest report, the button for a new one, and the commands that work on this data set.

    Raises:
        LaunchError: the command cannot be started.
        StoreUnavailable: the store cannot be read.
    """
    report = reports.read_report(data_set.source.key, data_set.root)
    if report is None:
        st.markdown(
            "These images have not been checked yet. A check reads every file once: it lists damaged and "
            "unusual files and images that are in both splits, counts the images, and measures their mean "
            "and standard deviation."
        )
    else:
        _show_report(report)
    label = "Check all images" if report is None else "Check again"
    if offer(label, ["check", *data_set.words], ":material/fact_check:", primary=report is None):
        st.rerun()
    show_jobs(data_set.words, empty="")


def _show_report(report: CheckReport) -> None:
    when = f"{formatting.clock(report.checked_at)}, took {formatting.duration(report.duration_s)}"
    st.caption(f"Checked {formatting.ago(report.checked_at)} ({when}). Manifest `{report.manifest[:16]}`")
    size = report.train.size_bytes + report.val.size_bytes
    figures = {
        "Images": f"{report.num_images:,}",
        "Unreadable": f"{report.train.num_unreadable + report.val.num_unreadable:,}",
        "Size": formatting.size(size) if size else formatting.NOTHING,
        "Mean": channels(report.mean),
        "Standard deviation": channels(report.std),
    }
    with st.container(horizontal=True, gap="medium", key="figures"):
        for label, value in figures.items():
            st.metric(label, value, width="content")
    st.subheader("Findings", anchor=False)
    if not report.findings:
        st.markdown(":green[:material/check_circle: No problem was found in these images.]")
    for finding in report.findings:
        _show_finding(finding)
    st.subheader("The files", anchor=False)
    st.table(_table({SPLIT_NAMES["train"]: report.train, SPLIT_NAMES["val"]: report.val}))


def channels(values: Sequence[float]) -> str:
    """Write three channels in one line: `0.485 · 0.456 · 0.406`."""
    return " · ".join(f"{value:.3f}" for value in values)


def _show_finding(finding: Finding) -> None:
    colour, icon, word = BADGES[finding.severity]
    badge = f":{colour}-badge[:material/{icon}: {word}]"
    text = f"{badge} **{finding.count:,} ×** {formatting.plain(finding.text)}"
    if not finding.names:
        st.markdown(text)
        return
    with st.expander(text):
        if finding.count > len(finding.names):
            st.caption(f"The first {len(finding.names):,} of {finding.count:,}:")
        st.code("\n".join(finding.names), language=None, height=min(320, 40 + 22 * len(finding.names)))


def _table(splits: Mapping[str, SplitSummary]) -> dict[str, list[str]]:
    rows = {name: _facts(summary) for name, summary in splits.items()}
    facts = list(next(iter(rows.values())))
    return {"": facts, **{name: [found[fact] for fact in facts] for name, found in rows.items()}}


def _facts(summary: SplitSummary) -> dict[str, str]:
    return {
        "Images": f"{summary.num_images:,}",
        "Of a class": span(sorted(summary.per_class)),
        "Size": formatting.size(summary.size_bytes) if summary.size_bytes else formatting.NOTHING,
        "Formats": shares(summary.formats),
        "Colours": shares(summary.modes),
        "Width, px": span(summary.widths),
        "Height, px": span(summary.heights),
    }


def shares(counts: Mapping[str, int]) -> str:
    """Write counts from the largest: `JPEG 1,281,166 · PNG 1`."""
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return " · ".join(f"{name} {count:,}" for name, count in ordered) or formatting.NOTHING


def span(numbers: Sequence[int]) -> str:
    """Write numbers, the smallest first: that and the largest, and the one in the middle."""
    if not numbers:
        return formatting.NOTHING
    lowest, middle, highest = numbers[0], numbers[len(numbers) // 2], numbers[-1]
    return f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}, {middle:,} median"
