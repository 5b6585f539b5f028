"""Networks and layers as rows of tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dashboard.runs.rows import setting_text
from dashboard.widgets import formatting
from tracking.comparison import Summary

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger.table import Ledger

MEASURED = "Measured here, top-1"
FLOAT32_BYTES = 4
MEGABYTE = 2**20


def measured(best: Sequence[Summary]) -> dict[str, str]:
    """Say for each architecture what was measured here and on what: `2.5 % on digits · quick · 64 px`."""
    found: dict[str, list[str]] = {}
    for one in best:
        text = f"{formatting.percent(one.best)} on {setting_text(one.run)}"
        found.setdefault(one.run.architecture, []).append(text)
    return {key: "; ".join(texts) for key, texts in found.items()}


def network_rows(
    networks: "Sequence[Architecture]", ledgers: "Mapping[str, Ledger]", measured: Mapping[str, str]
) -> list[dict[str, object]]:
    """Describe each network in one row, what was measured here apart from what its paper published.

    Args:
        networks: a row each.
        ledgers: of those that were counted so far, by key.
        measured: best results of runs in this store, by key.
    """
    return [_network_row(one, ledgers.get(one.key), measured.get(one.key)) for one in networks]


def layer_rows(ledger: "Ledger") -> list[dict[str, object]]:
    """Describe each layer in one row."""
    return [
        {
            "Stage": layer.stage,
            "Layer": layer.name,
            "Kind": layer.kind,
            "Kernel": layer.kernel,
            "Output": " x ".join(str(length) for length in layer.output_shape),
            "Parameters": layer.parameters,
            "MACs": layer.macs,
            "Share of parameters": 100 * layer.parameters / max(1, ledger.parameters_with_auxiliary),
            "Activations, MB": layer.activation_bytes() / MEGABYTE,
            "Receptive field, px": layer.receptive_field,
            "Stride, px": layer.stride,
            "Units": layer.units or None,
        }
        for layer in (*ledger.layers, *ledger.auxiliary_layers)
    ]


def _network_row(one: "Architecture", ledger: "Ledger | None", measured: str | None) -> dict[str, object]:
    reference = one.reference
    return {
        "Network": one.name,
        "Family": one.family,
        "Year": one.year,
        "Depth": one.depth,
        "Keras's depth": one.keras_depth,
        "Input, px": one.input_size,
        "Parameters": ledger and ledger.parameters,
        "Weights, MB": ledger and ledger.parameters * FLOAT32_BYTES / MEGABYTE,
        "MACs": ledger and ledger.macs,
        MEASURED: measured or "not measured here yet",
        "Published top-1": reference and reference.top1,
        "Published top-5": reference and reference.top5,
        "Published for": f"{reference.split}, {reference.protocol}" if reference else None,
        "Source": reference and reference.origin,
        "Other versions": " ".join(one.differences) or None,
        "Paper": f"{one.paper.url}#{one.paper.title}",
    }
