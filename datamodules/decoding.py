"""Image files to pixels, going by what is in a file and not by how it is called."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from datamodules.images import UnreadableImage
from datamodules.resampling import cut
from datamodules.views import Chooser

# Larger than any photograph of ImageNet by far; what claims more is a mistake or an attack on the memory.
MAX_PIXELS = 100_000_000
# What Pillow raises for files that are no images, not whole, or malicious.
UNREADABLE = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)


class NamedBytes(io.BytesIO):
    """The content of a file that is part of another, with a name for messages."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.title: str = name

    def __str__(self) -> str:
        return self.title


def read_image(file: Path | NamedBytes) -> Tensor:
    """Decodes a file of any format that Pillow knows (torchvision's own decoders are deprecated).

    Greyscale, palette, transparent and CMYK images become RGB, of an animation the first image counts; the
    orientation in the metadata is left alone, as in every published result on ImageNet.

    Returns:
        uint8, 3 x height x width.

    Raises:
        UnreadableImage: It is no image, damaged, cut off, or beyond 100 megapixels.
    """
    with _opened(file) as image:
        return torch.from_numpy(np.array(_convert(image))).permute(2, 0, 1)


def read_view(file: Path | NamedBytes, choose: Chooser) -> Tensor:
    """Decodes a part of a file.

    Args:
        file: Of any format that Pillow knows; see `read_image`.
        choose: Says from the picture's height and width which part.

    Returns:
        uint8, size x size x 3.

    Raises:
        UnreadableImage: It is no image, damaged, cut off, or beyond 100 megapixels.
    """
    with _opened(file) as image:
        return torch.from_numpy(cut(_convert(image), choose(image.height, image.width)))


@contextmanager
def _opened(file: Path | NamedBytes) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            # Some files of ImageNet have broken metadata, which nobody here looks at.
            warnings.simplefilter("ignore")
            with Image.open(file) as image:
                # The header alone has been read: no memory is taken for pixels yet.
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
                yield image
    except UNREADABLE as error:
        raise UnreadableImage(f"{file} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _convert(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    return image.convert("RGB")
