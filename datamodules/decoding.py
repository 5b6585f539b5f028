"""Image files to pixels, going by what is in a file and not by how it is called."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from datamodules import jpeg
from datamodules.errors import printable
from datamodules.images import NamedBytes, UnreadableImage
from datamodules.resampling import cut
from datamodules.views import Chooser

# Larger than any photograph of ImageNet by far; what claims more is a mistake or an attack on the memory.
MAX_PIXELS = 100_000_000
# Read at once; with the pixels, it has to stay below 1 GB of memory.
MAX_BYTES = 200_000_000
# Pillow knows more, but some of that starts programs (EPS), and none is a photograph.
Image.init()
FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
    if name in Image.OPEN
)
# What Pillow raises for files that are no images, not whole, or malicious.
UNREADABLE = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)


def read_file(file: Path, name: str) -> NamedBytes:
    """Reads a file as it is.

    Raises:
        UnreadableImage: It cannot be read, or has more than 200 MB.
    """
    with _named(file):
        return NamedBytes(_read(file), name)


def read_image(file: Path | NamedBytes) -> Tensor:
    """Decodes a file of any of `FORMATS` (torchvision's own decoders are deprecated).

    Greyscale, palette, transparent and CMYK images become RGB, of an animation the first image counts; the
    orientation in the metadata is left alone, as in every published result on ImageNet.

    Returns:
        uint8, 3 x height x width.

    Raises:
        UnreadableImage: It is no image, damaged, cut off, or beyond 100 megapixels.
    """
    with _named(file):
        data = _read(file)
        size = jpeg.read_size(data)
        pixels = jpeg.decode(data, size, size[0]) if size and _is_small(*size) else None
        if pixels is None:
            with _opened(data) as image:
                pixels = _convert(image)
        return pixels.permute(2, 0, 1)


def read_view(file: Path | NamedBytes, choose: Chooser, out: Tensor) -> None:
    """Decodes a part of a file.

    Args:
        file: Of any of `FORMATS`; see `read_image`.
        choose: Says from the picture's height and width which part.
        out: Where it is written, uint8, size x size x 3.

    Raises:
        UnreadableImage: It is no image, damaged, cut off, or beyond 100 megapixels.
    """
    with _named(file):
        data = _read(file)
        size = jpeg.read_size(data)
        if size and _is_small(*size):
            view = choose(*size)
            pixels = jpeg.decode(data, size, view.last_row)
            if pixels is not None:
                cut(pixels, view, out)
                return
        # Whatever is wrong, or unusual, with a JPEG: Pillow decides what of it can be shown.
        with _opened(data) as image:
            cut(_convert(image), choose(image.height, image.width), out)


@contextmanager
def _named(file: Path | NamedBytes) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        name = file.name if isinstance(file, NamedBytes) else printable(file)
        raise UnreadableImage(f"{name} ({_reason(error)})") from error


def _read(file: Path | NamedBytes) -> bytes:
    if isinstance(file, NamedBytes):
        return file.content
    with file.open("rb", buffering=0) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        return stream.readall()


def _is_small(height: int, width: int) -> bool:
    if height * width > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
    return True


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        # Some files of ImageNet have broken metadata, which nobody here looks at.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # The header alone has been read: no memory is taken for pixels yet.
            _is_small(image.height, image.width)
            yield image


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _convert(image: Image.Image) -> Tensor:
    """Returns uint8, height x width x 3."""
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return torch.from_numpy(np.repeat(grey[:, :, None], 3, axis=2))
    return torch.from_numpy(np.array(image.convert("RGB")))
