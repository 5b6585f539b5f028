"""Networks and layers as rows of tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dashboard import formatting
from dashboard.run_rows import setting_text
from tracking.comparison import Summary

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger import Ledger

MEASURED = "Measured here, top-1"


def measured(best: Sequence[Summary]) -> dict[str, str]:
    """Say for each architecture what was measured here and on what: `2.5 % on digits · quick · 64 px`."""
    found: dict[str, list[str]] = {}
    for one in best:
        text = f"{formatting.percent(one.best)} on {setting_text(one.run)}"
        found.setdefault(one.run.architecture, []).append(text)
    return {key: "; ".join(texts) for key, texts in found.items()}


def network_rows(
    architectures: "Mapping[str, Architecture]",
    parameters: Mapping[str, int],
    macs: Mapping[str, int],
    measured: Mapping[str, str],
) -> list[dict[str, object]]:
    """Describe each network in one row, what was measured here apart from what its paper published."""
    return [
        {
            "Network": one.name,
            "Year": one.year,
            "Input, px": one.input_size,
            "Parameters": parameters[key],
            "MACs": macs[key],
            MEASURED: measured.get(key, "not measured here yet"),
            "Published top-1": one.reference.top1,
            "Published top-5": one.reference.top5,
            "Published for": f"{one.reference.split}, {one.reference.protocol}",
            "Source": one.reference.source,
            "Paper": f"{one.paper.url}#{one.paper.title}",
        }
        for key, one in architectures.items()
    ]


def layer_rows(ledger: "Ledger") -> list[dict[str, object]]:
    """Describe each layer in one row."""
    return [
        {
            "Stage": layer.stage,
            "Layer": layer.name,
            "Kind": layer.kind,
            "Output": " x ".join(str(length) for length in layer.output_shape),
            "Parameters": layer.parameters,
            "MACs": layer.macs,
            "Share of parameters": 100 * layer.parameters / ledger.parameters_with_auxiliary,
        }
        for layer in (*ledger.layers, *ledger.auxiliary_layers)
    ]
