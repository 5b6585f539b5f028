"""Decodes and resizes all images of a source once, for training that reads them many times faster.

Run it again to go on after an interruption. JPEGs keep whole pictures at a short side of 256 pixels; raw
keeps the pixels of the center square, as AlexNet was trained on. Train on it with the source ``packed`` and
the folder as its root.
"""

import argparse
from pathlib import Path

from datamodules import sources
from datamodules.cores import count_cores
from datamodules.errors import printable
from datamodules.progress import Progress, add_progress_argument

HELP = "shrink all images of a source once, to train many times faster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    keys = [key for key in sources.available() if key != "packed"]
    parser.add_argument("source", choices=keys, help="one of: %(choices)s", metavar="SOURCE")
    parser.add_argument("--root", metavar="DIR", help="folder or address of the images")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder for the pack")
    parser.add_argument("--form", choices=["jpeg", "raw"], default="jpeg", help="%(default)s by default")
    parser.add_argument("--side", type=int, default=256, help="short side in pixels, %(default)s by default")
    parser.add_argument("--quality", type=int, default=90, help="of JPEGs, %(default)s by default")
    parser.add_argument(
        "--threads", type=int, default=count_cores(), help="images at once, %(default)s by default"
    )
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Packs a source.

    Raises:
        ValueError: A number is out of its range.
        DataError: The images are not there, the folder holds something else, or the disk is too small.
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
            f"{printable(target)} is ready: {manifest.images['train']:,} images to train on, "
            f"{manifest.images['val']:,} to validate"
            + (f"; {num_left_out:,} unreadable left out." if num_left_out else ".")
        )
