"""The mean image of a training set, which AlexNet and ResNet subtract; other networks subtract a mean colour.

It takes a pass over all training images. Therefore it is computed once, by ``python -m datamodules mean``,
and saved as a NumPy file: float32, 3 x S x S, from 0 to 255. The same image is subtracted from every view, no
matter where it was cropped, as in Krizhevsky's code of 2012 (``data_mean_crop`` of convdata.py).
"""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.cache import write_file
from datamodules.problems import DataError, Reading, explain


def compute_mean_image(batches: Iterable[Tensor]) -> Tensor:
    """Return the mean of all images in batches of uint8, N x 3 x S x S, as float32, 3 x S x S."""
    total, count = torch.zeros((), dtype=torch.int64), 0
    for images in batches:
        total = total + images.sum(0)
        count += len(images)
    return (total / count).to(torch.float32)


def write_mean_image(file: Path, image: Tensor) -> None:
    """Write a mean image as a NumPy file. Raises OSError."""
    stream = io.BytesIO()
    np.save(stream, image.numpy())
    write_file(file, stream.getvalue())


def read_mean_image(file: Path, image_size: int) -> Tensor:
    """Read a mean image: float32, 3 x image_size x image_size, from 0 to 255.

    Raises:
        DataError: The file is missing, or not a mean image of this size.
    """
    try:
        image = np.load(file, allow_pickle=False)
    except OSError as error:
        raise explain(error) from error
    except (ValueError, EOFError):
        image = None
    wanted = (3, image_size, image_size)
    if not isinstance(image, np.ndarray) or image.shape != wanted or image.dtype.kind != "f":
        raise DataError(Reading.BAD_MEAN_IMAGE, file=file, size=image_size)
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
