"""Parts of JPEGs have, bit for bit, the pixels that Pillow gives the whole."""

import io

import numpy as np
import pytest
from PIL import Image

from datamodules.images import View
from datamodules.pixels import jpeg
from datamodules.pixels.decoding import NamedBytes, read_image, read_view
from tests.datamodules.conftest import picture

SIZE = (150, 230)  # height and width: no multiples of a block


def encode(image: Image.Image, **options: object) -> bytes:
    image.save(stream := io.BytesIO(), "JPEG", quality=90, **options)
    return stream.getvalue()


def photograph() -> Image.Image:
    return picture(1, size=(30, 20)).resize(SIZE[::-1], Image.Resampling.BICUBIC)


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


@pytest.mark.parametrize("rows", [1, 15, 16, 47, 100, 133, 149, 150, 190])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"comment": b"x" * 1000}]
)
def test_upper_parts(rows: int, subsampling: str, options: dict[str, object]) -> None:
    data = encode(photograph(), subsampling=subsampling, **options)
    assert jpeg.read_size(data) == SIZE
    pixels = jpeg.decode(data, SIZE, rows)
    assert pixels is not None and len(pixels) >= min(rows, SIZE[0])
    if rows < 100 and "progressive" not in options:
        assert len(pixels) <= rows + 3, "the rest is not decoded"
    # The last rows of a part lack those below, from which they would get their colour.
    assert np.array_equal(pixels[:rows], by_pillow(data)[: len(pixels)][:rows])


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours(mode: str) -> None:
    data = encode(photograph().convert(mode))
    assert (jpeg.read_size(data) is None) == (mode == "CMYK")
    assert np.array_equal(read_image(NamedBytes(data, "a")).permute(1, 2, 0).numpy(), by_pillow(data))
    out = np.empty((40, 40, 3), np.uint8)
    read_view(NamedBytes(data, "a"), lambda height, width: View(10, 20, 50, 60, 40), out)
    assert np.array_equal(out, by_pillow(data)[20:60, 10:50])


def test_a_cut_off_file_is_noticed_below_the_part_as_well() -> None:
    data = encode(photograph())
    assert jpeg.decode(data, SIZE, 40) is not None
    assert jpeg.decode(data[: len(data) * 3 // 4], SIZE, 40) is None
    assert jpeg.decode(data[:-2], SIZE, 40) is None


def test_what_pillow_lets_pass_is_what_it_shows() -> None:
    """A few bytes overwritten: blocks look odd, but the picture goes on."""
    data = bytearray(encode(photograph()))
    middle = len(data) * 2 // 3
    data[middle : middle + 40] = bytes(40)
    out = np.empty((150, 150, 3), np.uint8)
    read_view(NamedBytes(bytes(data), "a"), lambda height, width: View(0, 0, 150, 150, 150), out)
    assert np.array_equal(out, by_pillow(bytes(data))[:150, :150])


def test_no_jpeg() -> None:
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n", encode(photograph())[:100]):
        assert jpeg.read_size(data) is None
