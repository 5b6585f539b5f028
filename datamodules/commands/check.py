"""Read every image of a source once and report errors, warnings and statistics."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.problems import Argument
from datamodules.progress import Progress, add_progress_argument, duration
from problems import InvalidValue

if TYPE_CHECKING:
    from datamodules.checks.reports import CheckReport, SplitSummary

HELP = "read every image once: counts, damage, duplicates, mean and standard deviation, labels"
# Names that are printed for a finding; the report has more.
MAX_SHOWN = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("source", metavar="SOURCE", help="such as imagenet, folder or digits; see list")
    parser.add_argument("--root", metavar="DIR", help="folder of the images, if the source needs one")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="number of processes that read; one per processor core"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Check the images, then save and print the report."""
    from datamodules import sources
    from datamodules.checks.checking import check

    if arguments.workers is not None and arguments.workers < 1:
        raise InvalidValue(Argument.TOO_SMALL, name="--workers", value=arguments.workers, smallest=1)
    source = sources.get(arguments.source)
    with Progress(arguments.progress) as progress:
        progress.begin("Listing", None, "images")
        images = source.images(arguments.root)
        root = str(Path(arguments.root).expanduser()) if arguments.root else ""
        if arguments.root and sources.is_address(arguments.root):
            root = arguments.root
        report = check(source.key, root, images, progress, arguments.workers)
        progress.message = f"{summarise(report)} {progress.message}".rstrip()
    print(json.dumps(asdict(report), indent=2) if arguments.format == "json" else write_text(report))


def summarise(report: "CheckReport") -> str:
    """Summarise a report in a sentence."""
    counts = [(report.count("error"), "error"), (report.count("warning"), "warning")]
    found = ", ".join(f"{count} kind{'s' * (count != 1)} of {word}" for count, word in counts)
    return f"{report.num_images:,} images checked in {duration(report.duration_s)}: {found}."


def write_text(report: "CheckReport") -> str:
    """Return a report as text for a terminal."""
    lines = [summarise(report), ""]
    for name, split in (("train", report.train), ("val", report.val)):
        lines += _describe(name, split)
    channels = zip(("red", "green", "blue"), report.mean, report.std, strict=True)
    lines.append("mean and standard deviation of the training pixels, where white is 1:")
    lines.append("  " + ", ".join(f"{name} {mean:.4f} ± {std:.4f}" for name, mean, std in channels))
    lines += [f"manifest  {report.manifest}", f"content   {report.content}"]
    for finding in report.findings:
        lines += ["", f"{finding.severity.upper()}  {finding.count:,} × {finding.text}"]
        lines += [f"    {name}" for name in finding.names[:MAX_SHOWN]]
        if finding.count > len(finding.names[:MAX_SHOWN]) > 0:
            lines.append("    ...")
    if not report.findings:
        lines += ["", "No errors and no warnings."]
    return "\n".join(lines)


def _describe(name: str, split: "SplitSummary") -> list[str]:
    counts = split.per_class
    size = f"{split.size_bytes / 1e6:,.1f} MB; " if split.size_bytes else ""
    lines = [
        f"{name}: {split.num_images:,} images in {len(counts):,} classes, {min(counts):,} to {max(counts):,} "
        f"each; {size}{split.num_unreadable:,} unreadable"
    ]
    if split.formats:
        kinds = (split.formats | split.modes).items()
        lines.append("  " + ", ".join(f"{count:,} {kind}" for kind, count in kinds))
    if split.widths:
        smallest, median, largest = (
            f"{split.widths[place]} × {split.heights[place]}" for place in (0, len(split.widths) // 2, -1)
        )
        lines.append(f"  pixels: smallest sides {smallest}, median {median}, largest {largest}")
    return lines
