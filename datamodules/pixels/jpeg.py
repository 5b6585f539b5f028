"""Decoding JPEG data, down to the last row that is needed.

libjpeg-turbo (simplejpeg) with the accurate transform and smooth upsampling gives exactly the same pixels as
Pillow. Rows below the last one that is needed are skipped by reducing the height in the header, which has two
bytes. Rows above cannot be skipped, since a picture is decoded from its start.
"""

import re
from collections.abc import Callable

import numpy as np
import simplejpeg

from datamodules.images import Pixels

# The decoder's error if data follow the last row, which is expected; libjpeg offers only this text.
_LEFT_OVER = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xd[0-79]")
# Skipping fewer rows is not worth a copy of the data.
WORTHWHILE_ROWS = 16
# Smooth upsampling uses the next row of colours, of which there may be half as many as rows.
CONTEXT_ROWS = 2
_START_OF_FRAME, _END_OF_HEADER = range(0xC0, 0xD0), 0xDA
_NO_FRAMES = (0xC4, 0xC8, 0xCC)  # markers in that range with another meaning


def read_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width of a greyscale or RGB JPEG; None for other data, which Pillow may support."""
    if data[:2] != b"\xff\xd8":
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (height, width) if colours in ("YCbCr", "RGB", "Gray") else None


def decode(data: bytes, size: tuple[int, int], last_row: float) -> Pixels | None:
    """Decode the upper part of a JPEG.

    Args:
        data: The JPEG.
        size: Height and width of the picture; see `read_size`.
        last_row: The last row that is needed.

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
    """Return the offset of the height; None for files that are decoded in several passes."""
    position = 2
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _START_OF_FRAME and marker not in _NO_FRAMES:
            return position + 5 if marker <= 0xC1 else None  # 0xC2 and above are progressive or rare
        if marker == _END_OF_HEADER:
            return None
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None
