"""Compute the mean image of a training set, which the papers on AlexNet and ResNet subtract.

Train with ``--mean_image FILE`` to subtract it instead of the mean colour.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules import sources
from datamodules.progress import Progress, add_progress_argument

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.imagenet import ImageNetDataModule

HELP = "compute the mean image of a training set, which AlexNet and ResNet subtract"
BATCH_SIZE = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    keys = list(sources.available())
    parser.add_argument("source", choices=keys, help="one of: %(choices)s", metavar="SOURCE")
    parser.add_argument("--root", metavar="DIR", help="folder or address of the images")
    parser.add_argument("--image_size", type=int, default=224, help="in pixels (default: %(default)s)")
    parser.add_argument(
        "--augmentation",
        default="alexnet",
        help="that of the run; images are not cropped with cifar (default: %(default)s)",
    )
    parser.add_argument("--num_workers", type=int, help="number of processes that read images")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="file to write, FILE.npy")
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Read every training image once and write their mean.

    Raises:
        InvalidValue: The source or the augmentation is unknown, or a number is out of its range.
        DataError: The images are missing, or too many of them are unreadable.
        OSError: The file cannot be written.
    """
    from datamodules.imagenet import ImageNetDataModule
    from datamodules.pixels.mean_image import compute_mean_image, write_mean_image

    with Progress(arguments.progress) as progress:
        # Fail before all images are read if the file cannot be written.
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=arguments.output.parent).close()
        data = ImageNetDataModule(
            arguments.source,
            arguments.root,
            image_size=arguments.image_size,
            batch_size=1,
            augmentation=arguments.augmentation,
            num_workers=arguments.num_workers,
        )
        data.batch_size = min(BATCH_SIZE, data.train_images)
        image = compute_mean_image(training_images(data, progress))
        write_mean_image(arguments.output, image)
        means = ", ".join(f"{mean:.1f}" for mean in image.mean((1, 2)).tolist())
        spread = (image - image.mean((1, 2), keepdim=True)).abs().max()
        progress.say(
            f"The mean colour is {means} of 255; those of single pixels differ from it by up to {spread:.1f}."
        )


def training_images(data: "ImageNetDataModule", progress: Progress) -> "Iterator[Tensor]":
    """Yield batches of the training images, cropped as in validation.

    Args:
        data: Datamodule with the images; it cannot be used for training afterwards.
        progress: Counts the images.

    Raises:
        DataError: Too many images are unreadable.
    """
    data.images = replace(data.images, val=data.images.train)
    progress.begin("Adding up", data.val_images, "images")
    for batch in data.val_dataloader():
        data.damage.add(batch.unreadable)
        yield batch.images
        progress.advance(len(batch.images))
