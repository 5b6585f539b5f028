"""Which images a run was trained on."""

import streamlit as st

from dashboard.widgets import formatting
from datamodules.checks.reports import CheckReport, find_report
from tracking.runs import Run

SHOWN_DIGITS = 16


def show_data(run: Run) -> None:
    """Show how many images there were, their manifest, and what a check of them has found."""
    manifest = run.tags.get("data.manifest")
    if manifest is None:
        return
    st.subheader("Images", anchor=False)
    rows = "\n".join(f"| {label} | {value} |" for label, value in describe_data(run, manifest).items())
    st.markdown(f"| | |\n|:--|:--|\n{rows}")


def describe_data(run: Run, manifest: str) -> dict[str, str]:
    """Describe the images in words, as Markdown."""
    counts = [run.number(name) for name in ("train_images", "val_images", "num_classes")]
    described = {}
    if all(count is not None for count in counts):
        train, val, classes = (formatting.exact_count(int(count or 0)) for count in counts)
        described["Count"] = f"{train} to train on, {val} to validate on, {classes} classes"
    described["Manifest"] = f"`{manifest[:SHOWN_DIGITS]}`, equal for equal names, labels and sizes"
    if before := run.tags.get("data.manifest_before"):
        described["Changed"] = f"The run started with other images: `{before[:SHOWN_DIGITS]}`"
    described["Checked"] = describe_check(find_report(manifest))
    return described


def describe_check(report: CheckReport | None) -> str:
    """Describe what the latest check of the very same images has found."""
    if report is None:
        return "Not on this machine; `python -m datamodules check` checks them"
    errors, warnings = report.count("error"), report.count("warning")
    if not errors + warnings:
        found = "no problem found"
    else:
        found = f"{formatting.plural(errors, 'error')}, {formatting.plural(warnings, 'warning')}"
    return f"{formatting.clock(report.checked_at)}: {found}"


def describe_skipped(run: Run, count: int) -> str:
    """Describe how many images could not be read, and which."""
    files = run.tags.get("data.skipped_files", "").splitlines()
    more = f" and {count - len(files):,} more, all in the log" if count > len(files) else ""
    train, val = (run.tags.get(f"data.skipped_{split}", "?") for split in ("train", "val"))
    return (
        f"{formatting.plural(count, 'image')} could not be read and were skipped "
        f"({train} of training, {val} of validation): {formatting.plain(', '.join(files))}{more}"
    )
