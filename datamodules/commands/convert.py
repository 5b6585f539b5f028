"""Write any source in Lightning's LitData format, into a folder or to an s3:// address.

Run it again to continue after an interruption.
"""

import argparse

from datamodules import sources
from datamodules.cores import count_cores
from datamodules.problems import Argument
from datamodules.progress import Progress, add_progress_argument
from problems import InvalidValue

HELP = "write any source in LitData's format, for streaming"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("source", choices=sources.available(), help="one of: %(choices)s", metavar="SOURCE")
    parser.add_argument("--root", metavar="DIR", help="folder or address of the images, if needed")
    parser.add_argument("--to", required=True, metavar="DIR", help="empty folder, or s3://bucket/folder")
    parser.add_argument(
        "--classes", default="", metavar="N", help="number of classes, or their names (default: all)"
    )
    parser.add_argument(
        "--max_side",
        type=int,
        metavar="PIXELS",
        help="re-encode images whose short side is longer, such as 256 (default: keep all images unchanged)",
    )
    parser.add_argument("--quality", type=int, default=90, help="of re-encoded JPEGs (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=int,
        default=min(32, count_cores()),
        help="number of images at a time (default: %(default)s)",
    )
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Convert a source.

    Raises:
        DataError: The images are missing, or the target holds something else.
        InvalidValue: A setting is invalid.
    """
    from datamodules.streams.conversion import Settings, convert
    from datamodules.streams.targets import open_target
    from datamodules.subset import choose_classes, parse_classes

    if arguments.threads < 1:
        raise InvalidValue(Argument.TOO_SMALL, name="threads", value=arguments.threads, smallest=1)
    settings = Settings(arguments.max_side, arguments.quality)
    target = open_target(arguments.to)
    with Progress(arguments.progress) as progress:
        images = sources.get(arguments.source).images(arguments.root)
        images = choose_classes(images, parse_classes(arguments.classes))
        convert(images, target, settings, arguments.threads, progress)
