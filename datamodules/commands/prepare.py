"""Make the folder that a source needs from its archives; run it again to continue after an interruption."""

import argparse
from pathlib import Path

from datamodules import sources
from datamodules.progress import Progress, add_progress_argument

HELP = "make the folder that a source needs from its archives"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    keys = [key for key, source in sources.available().items() if source.prepare]
    parser.add_argument("source", choices=keys, help="one of: %(choices)s", metavar="SOURCE")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder for the images")
    parser.add_argument(
        "--archives",
        type=Path,
        metavar="DIR",
        help="folder that holds the archives as downloaded; without it, public archives are downloaded",
    )
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prepare a source.

    Raises:
        DataError: An archive is missing, damaged or cannot be downloaded, or the disk is too small.
    """
    source = sources.get(arguments.source)
    assert source.prepare is not None
    archives = arguments.archives and arguments.archives.expanduser()
    with Progress(arguments.progress) as progress:
        source.prepare(arguments.root.expanduser(), archives, progress)
