"""Image files to pixels, going by what is in a file and not by how it is called."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image

from datamodules.images import UnreadableImage

# Larger than any photograph of ImageNet by far; what claims more is a mistake or an attack on the memory.
MAX_PIXELS = 100_000_000
# What Pillow and torchvision raise for files that are no images or not whole.
UNREADABLE = (OSError, RuntimeError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)


def read_image(file: Path) -> Tensor:
    """Decodes a file of any format that torchvision or Pillow knows.

    Greyscale, palette, transparent and CMYK images become RGB; the orientation in the metadata is left
    alone, as in every published result on ImageNet.

    Returns:
        uint8, 3 x height x width.

    Raises:
        UnreadableImage: It is no image, damaged, cut off, or beyond 100 megapixels.
    """
    try:
        data = file.read_bytes()
        _check_size(data)
        return _decode(data)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableImage(f"{file} ({reason})") from error


def _check_size(data: bytes) -> None:
    """Reads the header alone, before memory is taken for pixels."""
    with _open(data) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS}")


def _decode(data: bytes) -> Tensor:
    try:
        pixels: Tensor = decode_image(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
    except RuntimeError:
        # Pillow knows more formats, and more of each; what is cut off it refuses too.
        with _open(data) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    if pixels.ndim == 4:  # an animation
        pixels = pixels[0]
    if pixels.dtype != torch.uint8:  # 16 bits a channel
        pixels = (pixels.to(torch.int32) >> 8).to(torch.uint8)
    return pixels


@contextmanager
def _open(data: bytes) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        # Some files of ImageNet have broken metadata, which nobody here looks at.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            yield image
