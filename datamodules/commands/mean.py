"""Computes the mean image of a training set, which the papers of AlexNet and ResNet subtract.

A training takes it with ``--mean_image FILE``; without, the mean colour is subtracted.
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
    """Adds what the command takes."""
    keys = list(sources.available())
    parser.add_argument("source", choices=keys, help="one of: %(choices)s", metavar="SOURCE")
    parser.add_argument("--root", metavar="DIR", help="folder or address of the images")
    parser.add_argument("--image_size", type=int, default=224, help="pixels (%(default)s)")
    parser.add_argument(
        "--augmentation", default="alexnet", help="of the training: cifar sees whole images (%(default)s)"
    )
    parser.add_argument("--num_workers", type=int, help="processes that read images")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where to write, FILE.npy")
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Reads every training image once.

    Raises:
        ValueError: The source or the augmentation is unknown, or a number out of its range.
        DataError: The images are not there, or too many of them unreadable.
        OSError: Nothing can be written to the file's folder.
    """
    from datamodules.imagenet import ImageNetDataModule
    from datamodules.pixels.mean_image import compute_mean_image, write_mean_image

    with Progress(arguments.progress) as progress:
        # What cannot be written is said before all images are read.
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
        progress.say(f"Mean colour {means} of 255; a pixel's mean differs from it by up to {spread:.1f}.")


def training_images(data: "ImageNetDataModule", progress: Progress) -> "Iterator[Tensor]":
    """Yields batches of the training images, seen as in validation.

    Args:
        data: Has them; not for training afterwards.
        progress: Is told how far it is.

    Raises:
        DataError: Too many are unreadable.
    """
    data.images = replace(data.images, val=data.images.train)
    progress.begin("Adding up", data.val_images, "images")
    for batch in data.val_dataloader():
        data.damage.add(batch.unreadable)
        yield batch.images
        progress.advance(len(batch.images))
