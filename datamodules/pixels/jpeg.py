"""JPEG data to pixels, no further down than needed.

libjpeg-turbo (simplejpeg) with its accurate transform and smooth colour, bit for bit what Pillow gives. What
follows the last row that is needed is left out by telling the decoder that the picture ends there: its height
is two bytes of the header. A picture is decoded from its beginning, so nothing is to be gained above.
"""

import re
from collections.abc import Callable

import numpy as np
import simplejpeg

from datamodules.images import Pixels

# What the decoder says, and raises, where data go on after the rows it was told to read: all is well.
_LEFT_OVER = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xd[0-79]")
# Fewer rows than these are not worth a copy of the data.
WORTHWHILE_ROWS = 16
# Smooth colours look at the next row of a picture with half as many rows of colour.
CONTEXT_ROWS = 2
_START_OF_FRAME, _END_OF_HEADER = range(0xC0, 0xD0), 0xDA
_NO_FRAMES = (0xC4, 0xC8, 0xCC)  # markers of that range which mean something else


def read_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width of a JPEG in grey or RGB; None for any other data, which Pillow may know."""
    if data[:2] != b"\xff\xd8":
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (height, width) if colours in ("YCbCr", "RGB", "Gray") else None


def decode(data: bytes, size: tuple[int, int], last_row: float) -> Pixels | None:
    """Decode a JPEG's upper part.

    Args:
        data: The JPEG.
        size: Its height and width; see `read_size`.
        last_row: Where the part ends that is needed.

    Returns:
        uint8, rows x width x 3, with at least the rows that are needed; None if anything is wrong.
    """
    height, width = size
    rows = int(last_row) + 1 + CONTEXT_ROWS
    if rows + WORTHWHILE_ROWS < height:
        place = _find_height(data)
        if place is not None and data[place : place + 2] == height.to_bytes(2):
            shortened = bytearray(data)
            shortened[place : place + 2] = rows.to_bytes(2)
            pixels = np.empty((rows, width, 3), np.uint8)
            if _fill(pixels, shortened, lambda error: _LEFT_OVER.fullmatch(error) is not None):
                return pixels
    pixels = np.empty((height, width, 3), np.uint8)
    return pixels if _fill(pixels, data, lambda error: False) else None


def _fill(pixels: Pixels, data: bytes | bytearray, is_harmless: Callable[[str], bool]) -> bool:
    try:
        simplejpeg.decode_jpeg(data, buffer=pixels)
    except ValueError as error:
        return is_harmless(str(error))
    return True


def _find_height(data: bytes) -> int | None:
    """Return where the height is written; None in files that are decoded in several passes."""
    position = 2
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _START_OF_FRAME and marker not in _NO_FRAMES:
            return position + 5 if marker <= 0xC1 else None  # 0xC2 and above are progressive or rarer still
        if marker == _END_OF_HEADER:
            return None
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None
