"""Where a network's parameters, operations and activations are: one row of bars for each stage, as HTML."""

from html import escape
from typing import TYPE_CHECKING

from dashboard import formatting

if TYPE_CHECKING:
    from lightning_modules.ledger import Ledger, Stage

TITLES = ("Parameters", "MACs", "Activations in training")


def stage_bars(ledger: "Ledger") -> str:
    """Draw a bar for each cost of each stage, in percent of the whole network."""
    costs = {stage.name: _costs(stage) for stage in ledger.stages if any(_costs(stage))}
    totals = [sum(column) or 1 for column in zip(*costs.values(), strict=True)]
    head = "".join(f"<th>{title}</th>" for title in ("Stage", *TITLES))
    rows = [
        f"<tr><th>{escape(name)}</th>{''.join(map(_bar, counts, totals, _texts(counts)))}</tr>"
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


def _bar(count: int, total: int, text: str) -> str:
    """Write a cell whose bar is the share; the amount stands beside it, every digit in the hint."""
    share = 100 * count / total
    if not count:
        return "<td></td>"
    return (
        f'<td title="{count:,}, {share:.1f} %"><i style="width: {share * 0.6:.2f}%"></i>'
        f"<b>{text}</b> {share:.1f} %</td>"
    )
