"""Writes any source in Lightning's LitData format, into a folder or to an s3:// address.

Run it again to go on after an interruption.
"""

import argparse

from datamodules import sources
from datamodules.cores import count_cores
from datamodules.progress import Progress, add_progress_argument

HELP = "write any source in LitData's format, for streaming"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("source", choices=sources.available(), help="one of: %(choices)s", metavar="SOURCE")
    parser.add_argument("--root", metavar="DIR", help="folder or address of the images, where one is needed")
    parser.add_argument("--to", required=True, metavar="DIR", help="empty folder, or s3://bucket/folder")
    parser.add_argument(
        "--classes", default="", metavar="N", help="how many classes, or their names; all else"
    )
    parser.add_argument(
        "--max_side",
        type=int,
        metavar="PIXELS",
        help="re-encode images whose short side is longer, such as 256; all are kept as they are without it",
    )
    parser.add_argument("--quality", type=int, default=90, help="of re-encoded JPEGs, %(default)s by default")
    parser.add_argument(
        "--threads",
        type=int,
        default=min(32, count_cores()),
        help="images at once, %(default)s by default",
    )
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Converts a source.

    Raises:
        DataError: The images are not there, or something else is where they should go.
        ValueError: A setting makes no sense.
    """
    from datamodules.streams.conversion import Settings, convert
    from datamodules.streams.targets import open_target
    from datamodules.subset import choose_classes, parse_classes

    if arguments.threads < 1:
        raise ValueError(f"threads is {arguments.threads}; it must be 1 or more.")
    settings = Settings(arguments.max_side, arguments.quality)
    target = open_target(arguments.to)
    with Progress(arguments.progress) as progress:
        images = sources.get(arguments.source).images(arguments.root)
        images = choose_classes(images, parse_classes(arguments.classes))
        convert(images, target, settings, arguments.threads, progress)
