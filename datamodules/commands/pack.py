"""Decode and resize all images of a source once, so that training reads them many times faster.

Run it again to continue after an interruption. The form jpeg keeps whole pictures with a short side of 256
pixels; raw keeps the pixels of the center square, on which AlexNet was trained. To train on the pack, use the
source ``packed`` with the folder as its root.
"""

import argparse
from pathlib import Path

from datamodules import sources
from datamodules.cores import count_cores
from datamodules.problems import printable
from datamodules.progress import Progress, add_progress_argument

HELP = "decode and resize all images of a source once, to read them many times faster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    keys = [key for key in sources.available() if key != "packed"]
    parser.add_argument("source", choices=keys, help="one of: %(choices)s", metavar="SOURCE")
    parser.add_argument("--root", metavar="DIR", help="folder or address of the images")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder for the pack")
    parser.add_argument("--form", choices=["jpeg", "raw"], default="jpeg", help="default: %(default)s")
    parser.add_argument("--side", type=int, default=256, help="short side in pixels (default: %(default)s)")
    parser.add_argument("--quality", type=int, default=90, help="of JPEGs (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=count_cores(), help="number of images at a time (default: %(default)s)"
    )
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Pack a source.

    Raises:
        InvalidValue: A number is out of its range.
        DataError: The images are missing, the folder holds something else, or the disk is too small.
    """
    from datamodules.packs.writer import Plan, write_pack

    plan = Plan(arguments.form, arguments.side, arguments.quality, arguments.threads)
    images = sources.get(arguments.source).images(arguments.root)
    with Progress(arguments.progress) as progress:
        target = arguments.to.expanduser()
        manifest = write_pack(images, arguments.source, target, plan, progress)
        for split, names in manifest.left_out.items():
            for name in names:
                progress.say(f"Left out of {split}: {name}")
        num_left_out = sum(map(len, manifest.left_out.values()))
        progress.say(
            f"{printable(target)} is ready: {manifest.images['train']:,} training images, "
            f"{manifest.images['val']:,} validation images"
            + (f"; {num_left_out:,} unreadable images were left out." if num_left_out else ".")
        )
