"""Decoding image files; the format is found from the content, not from the name."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from datamodules.images import Chooser, NamedBytes, Pixels
from datamodules.pixels import jpeg
from datamodules.pixels.large import MAX_PIXELS, admitted
from datamodules.pixels.resampling import cut
from datamodules.problems import Defect, UnreadableImage, printable
from problems import Code, InvalidValue, Problem

# Read in one piece; together with the pixels, it has to stay below 1 GB of memory.
MAX_BYTES = 200_000_000
# Number of pixels of a larger picture that are converted at a time.
STRIP_PIXELS = 2**22
# Pillow supports more, but some of them start programs (EPS), and none are used for photographs.
Image.init()
FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
    if name in Image.OPEN
)
# Exceptions that Pillow raises for files that are not images, truncated, or malicious.
UNREADABLE = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)


def read_file(file: Path, name: str) -> NamedBytes:
    """Read a file without decoding it.

    Raises:
        UnreadableImage: It cannot be read, or has more than `MAX_BYTES`.
    """
    with _named(file):
        return NamedBytes(_read(file), name)


def read_image(file: Path | NamedBytes) -> Tensor:
    """Decode a file of any of `FORMATS` (torchvision's own decoders are deprecated).

    Greyscale, palette, transparent and CMYK images are converted to RGB; only the first image of an animation
    is used. The orientation in the metadata is ignored, as in all published results on ImageNet.

    Returns:
        uint8, 3 x height x width.

    Raises:
        UnreadableImage: It is not an image, damaged, truncated, or larger than 50 megapixels.
    """
    with _named(file):
        data = _read(file)
        size = jpeg.read_size(data)
        pixels = None
        if size:
            with admitted(*size):
                pixels = jpeg.decode(data, size, size[0])
        if pixels is None:
            with admitted(*_measure(data)):
                pixels = _decode(data)
        return torch.from_numpy(pixels).permute(2, 0, 1)


def read_view(file: Path | NamedBytes, choose: Chooser, out: Pixels) -> None:
    """Decode a view of a file.

    Args:
        file: File in any of `FORMATS`; see `read_image`.
        choose: Chooses the view, given the picture's height and width.
        out: Receives the view, uint8, size x size x 3.

    Raises:
        UnreadableImage: It is not an image, damaged, truncated, or larger than 50 megapixels.
    """
    with _named(file):
        data = _read(file)
        size = jpeg.read_size(data)
        if size:
            with admitted(*size):
                view = choose(*size)
                pixels = jpeg.decode(data, size, view.last_row)
                if pixels is not None:
                    cut(pixels, view, out)
                    return
        # If anything is wrong or unusual with a JPEG, Pillow decides what can be decoded.
        size = _measure(data)
        with admitted(*size):
            cut(_decode(data), choose(*size), out)


@contextmanager
def _named(file: Path | NamedBytes) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        name = file.name if isinstance(file, NamedBytes) else printable(file)
        code, values = find_defect(error)
        raise UnreadableImage(code, **{**values, "name": name}) from error


def _read(file: Path | NamedBytes) -> bytes:
    if isinstance(file, NamedBytes):
        return file.content
    with file.open("rb", buffering=0) as stream:
        if os.fstat(stream.fileno()).st_size > MAX_BYTES:
            raise InvalidValue(Defect.TOO_MANY_BYTES, limit=MAX_BYTES)
        return stream.readall()


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        # Some files of ImageNet have broken metadata, which is not used here.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image


def _measure(data: bytes) -> tuple[int, int]:
    """Return height and width from the header, without allocating memory for the pixels."""
    with _opened(data) as image:
        return image.height, image.width


def find_defect(error: BaseException) -> tuple[Code, dict[str, Any]]:
    """Return why an image cannot be decoded, as a code and values, given one of `UNREADABLE`."""
    if isinstance(error, Problem) and error.code is not None:
        return error.code, error.values
    if isinstance(error, UnidentifiedImageError):
        return Defect.NOT_AN_IMAGE, {}
    if isinstance(error, Image.DecompressionBombError):  # Pillow has a limit of its own
        return Defect.TOO_MANY_PIXELS, {"limit": MAX_PIXELS}
    if isinstance(error, TimeoutError):
        return Defect.TOO_SLOW, {}
    if isinstance(error, MemoryError):
        return Defect.NO_MEMORY, {}
    said = getattr(error, "strerror", None) or (str(error) or type(error).__name__).splitlines()[0]
    return Defect.OTHER, {"said": said}


def _decode(data: bytes) -> Pixels:
    """Return uint8, height x width x 3."""
    with _opened(data) as image:
        image.load()
        width, height = image.size
        pixels = np.empty((height, width, 3), np.uint8)
        for top, strip in strips(image):
            pixels[top : top + strip.height] = np.asarray(strip)
    return pixels


def strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield a decoded picture in RGB, a large one in parts: the first row of each, and the part."""
    width, height = image.size
    rows = height if width * height <= STRIP_PIXELS else max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image if rows == height else image.crop((0, top, width, min(top + rows, height)))
        if strip.mode.startswith("I;16"):
            strip = Image.fromarray((np.asarray(strip) >> 8).astype(np.uint8))
        yield top, strip if strip.mode == "RGB" else strip.convert("RGB")
