"""Where a network's parameters, operations and activations are: one row of bars for each stage, as HTML."""

from html import escape
from typing import TYPE_CHECKING

from dashboard.widgets import formatting

if TYPE_CHECKING:
    from lightning_modules.ledger.table import Ledger, Stage

# In percent of a cell: the amount and the share stand beside the bar.
LONGEST = 30
TITLES = ("Parameters", "MACs", "Activations in training")


def stage_bars(ledger: "Ledger") -> str:
    """Draw a bar for each cost of each stage, in percent of the whole network."""
    costs = {stage.name: _costs(stage) for stage in ledger.stages if any(_costs(stage))}
    columns = list(zip(*costs.values(), strict=True))
    totals, largest = [sum(column) or 1 for column in columns], [max(column) for column in columns]
    head = "".join(f"<th>{title}</th>" for title in ("Stage", *TITLES))
    rows = [
        f"<tr><th>{escape(name)}</th>{''.join(map(_bar, counts, totals, largest, _texts(counts)))}</tr>"
        for name, counts in costs.items()
    ]
    return f'<table class="stage-bars"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _costs(stage: "Stage") -> tuple[int, int, int]:
    return stage.parameters, stage.macs, stage.activation_bytes()


def _texts(counts: tuple[int, int, int]) -> tuple[str, str, str]:
    parameters, macs, activation_bytes = counts
    return (
        formatting.short_count(parameters),
        formatting.short_count(macs),
        f"{activation_bytes / 2**20:.1f} MB",
    )


def _bar(count: int, total: int, largest: int, text: str) -> str:
    """Write a cell with a bar, the largest of its column as long as fits; every digit is in the hint."""
    if not count:
        return "<td></td>"
    share = 100 * count / total
    return (
        f'<td title="{count:,}, {share:.1f} %"><i style="width: {LONGEST * count / largest:.1f}%"></i>'
        f"<b>{text}</b> {share:.1f} %</td>"
    )
