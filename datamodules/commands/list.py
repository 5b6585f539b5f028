"""List every source of images, and what it needs."""

import argparse
import json
import shutil
import textwrap

from datamodules import sources

HELP = "list every source of images, and what it needs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> None:
    """Print the sources from small to large."""
    found = sources.available().values()
    if arguments.format == "json":
        rows = [
            {
                "key": source.key,
                "title": source.title,
                "description": source.description,
                "needs_root": source.needs_root,
            }
            for source in found
        ]
        print(json.dumps(rows, indent=2))
        return
    indent = max(len(source.key) for source in found) + 2
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    for source in found:
        text = textwrap.fill(
            source.description, width, initial_indent=source.key.ljust(indent), subsequent_indent=" " * indent
        )
        print(text)
