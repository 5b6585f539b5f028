"""Networks on the command line: ``python -m lightning_modules list`` and ``... ledger vgg16``."""

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from command_line import Parser, answer
from lightning_modules import registry
from lightning_modules.architecture import Architecture
from lightning_modules.ledger.table import PRECISIONS, Layer, Ledger, Stage, measure
from lightning_modules.problems import InvalidChoice
from problems import InvalidValue

Row = dict[str, Any]
FORMATS = ("table", "csv", "json")
MEGABYTE = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 if it is invalid."""
    options = build_parser().parse_args(arguments)
    return answer(lambda: options.run(options))


def build_parser() -> Parser:
    """Return the parser of the command line, which stores the function of each command as ``run``."""
    parser = Parser(prog="python -m lightning_modules", description="Networks and their costs.")
    commands = parser.add_subparsers(title="commands", metavar="list|ledger", required=True)
    listing = commands.add_parser("list", help="list all networks")
    listing.set_defaults(run=print_list)
    ledger = commands.add_parser("ledger", help="show what a network costs, layer by layer")
    ledger.set_defaults(run=print_ledger)
    ledger.add_argument("key", help="key of a network, see the command list")
    ledger.add_argument("--num_classes", type=int, help="number of classes; the paper's by default")
    ledger.add_argument("--image_size", type=int, help="in pixels; the paper's by default")
    ledger.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the network"
    )
    ledger.add_argument("--batch_size", type=int, default=1, help="number of images for the activations")
    ledger.add_argument("--precision", choices=PRECISIONS, default="32-true", help="of the activations")
    for command in (listing, ledger):
        command.add_argument("--format", choices=FORMATS, default="table")
    return parser


def print_list(options: argparse.Namespace) -> None:
    """Print a row for each network, the oldest first."""
    architectures = registry.architectures().values()
    rows = [architecture_row(one) for one in architectures]
    if options.format == "json":
        print(json.dumps(rows, indent=2))
    elif options.format == "csv":
        print_csv([row | {"options": ";".join(row["options"])} for row in rows])
    else:
        headings = ("Key", "Name", "Family", "Year", "Depth", "Input, px", "Classes", "Options")
        texts = [[*map(_text, list(row.values())[:-1]), ", ".join(row["options"])] for row in rows]
        print_table([dict(zip(headings, row, strict=True)) for row in texts])


def architecture_row(architecture: Architecture) -> Row:
    """Return the description of a network by column."""
    return {
        "key": architecture.key,
        "name": architecture.name,
        "family": architecture.family,
        "year": architecture.year,
        "depth": architecture.depth,
        "input_size": architecture.input_size,
        "num_classes": architecture.num_classes,
        "options": {name: list(values) for name, values in architecture.options.items()},
    }


def print_ledger(options: argparse.Namespace) -> None:
    """Print a row for each layer, and the totals.

    Raises:
        InvalidValue: The network, an option or a number is invalid.
    """
    architecture = registry.get(options.key)
    choices = architecture.check_options(parse_options(options.option))
    ledger = measure(architecture.key, options.num_classes, options.image_size, **choices)
    batch = (options.batch_size, options.precision)
    if options.format == "json":
        print(json.dumps(describe(architecture, ledger, options, choices), indent=2))
    elif options.format == "csv":
        layers = [layer_row(layer, *batch) | {"auxiliary": False} for layer in ledger.layers]
        layers += [layer_row(layer, *batch) | {"auxiliary": True} for layer in ledger.auxiliary_layers]
        print_csv([row | {"output_shape": _text(row["output_shape"])} for row in layers])
    else:
        print_table([table_row(layer, *batch) for layer in (*ledger.layers, *ledger.auxiliary_layers)])
        print()
        print_totals(architecture, ledger, options)


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """Split texts of the form ``NAME=VALUE``.

    Raises:
        InvalidValue: A text has another form.
    """
    for text in texts:
        if not all(text.partition("=")):
            raise InvalidValue(InvalidChoice.NOT_NAME_AND_VALUE, text=text)
    return dict(text.split("=", 1) for text in texts)


def layer_row(layer: Layer, batch_size: int, precision: str) -> Row:
    """Return the figures of a layer by column."""
    kind = {"name": layer.name, "kind": layer.kind, "stage": layer.stage, "kernel": layer.kernel}
    return kind | stage_row(layer, batch_size, precision)


def stage_row(stage: Layer | Stage, batch_size: int, precision: str) -> Row:
    """Return the figures of a stage by column."""
    return {
        "name": stage.name,
        "output_shape": list(stage.output_shape),
        "parameters": stage.parameters,
        "macs": stage.macs,
        "units": stage.units,
        "activation_bytes": stage.activation_bytes(batch_size, precision),
        "receptive_field": stage.receptive_field,
        "stride": stage.stride,
    }


def describe(
    architecture: Architecture, ledger: Ledger, options: argparse.Namespace, choices: Mapping[str, str]
) -> Row:
    """Return all figures of a network, ready for JSON."""
    batch = (options.batch_size, options.precision)
    return {
        "key": architecture.key,
        "num_classes": options.num_classes or architecture.num_classes,
        "image_size": options.image_size or architecture.input_size,
        "options": dict(choices),
        "batch_size": options.batch_size,
        "precision": options.precision,
        "parameters": ledger.parameters,
        "parameters_with_auxiliary": ledger.parameters_with_auxiliary,
        "running_statistics": ledger.running_statistics,
        "running_statistics_with_auxiliary": ledger.running_statistics_with_auxiliary,
        "macs": ledger.macs,
        "units": ledger.units,
        "activation_bytes": ledger.activation_bytes(*batch),
        "stages": [stage_row(stage, *batch) for stage in ledger.stages],
        "layers": [layer_row(layer, *batch) for layer in ledger.layers],
        "auxiliary_layers": [layer_row(layer, *batch) for layer in ledger.auxiliary_layers],
    }


def table_row(layer: Layer, batch_size: int, precision: str) -> dict[str, str]:
    """Return the figures of a layer as short texts."""
    kernel = layer.kernel.replace(", stride ", "/")
    return {
        "Layer": layer.name,
        "Kind": f"{layer.kind} {kernel}".rstrip(),
        "Output": _text(layer.output_shape),
        "Parameters": f"{layer.parameters:,}",
        "MACs": f"{layer.macs:,}",
        "Kept, MB": f"{layer.activation_bytes(batch_size, precision) / MEGABYTE:,.1f}",
        "Field": _text(layer.receptive_field),
        "Stride": _text(layer.stride),
    }


def print_totals(architecture: Architecture, ledger: Ledger, options: argparse.Namespace) -> None:
    """Print the totals, and explain the columns of the table."""
    kept = ledger.activation_bytes(options.batch_size, options.precision) / MEGABYTE
    images = "1 image" if options.batch_size == 1 else f"{options.batch_size} images"
    totals = {
        "Parameters": f"{ledger.parameters:,}",
        "with auxiliary heads": f"{ledger.parameters_with_auxiliary:,}",
        "MACs": f"{ledger.macs:,}",
        "Units": f"{ledger.units:,}",
        "Running statistics": f"{ledger.running_statistics:,}",
        "Activations, MB": f"{kept:,.1f}",
    }
    print(f"{architecture.name}, {options.image_size or architecture.input_size} px")
    for name, text in totals.items():
        if ledger.auxiliary_layers or "auxiliary" not in name:
            print(f"  {name:21}{text:>16}")
    print(f"Activations are kept for the backward pass of {images} in {options.precision}, with all heads.")
    print("Receptive field and stride are in pixels; they are empty for layers that see the whole image.")


def print_csv(rows: Sequence[Row]) -> None:
    """Print comma-separated values with a line of column names."""
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print aligned columns: numbers to the right, texts to the left."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    widths = {name: max(map(len, (name, *texts))) for name, texts in columns.items()}
    numeric = {
        name: all(text.replace(",", "").replace(".", "").isdigit() for text in texts if text)
        for name, texts in columns.items()
    }
    for row in ({name: name for name in columns}, *rows):
        cells = (
            text.rjust(widths[name]) if numeric[name] else text.ljust(widths[name])
            for name, text in row.items()
        )
        print(" ".join(cells).rstrip())


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
