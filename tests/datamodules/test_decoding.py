"""Files of every kind that ImageNet holds become pixels, or say why not."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.pixels.decoding import read_image
from datamodules.pixels.large import MAX_PIXELS
from datamodules.problems import Defect, UnreadableImage
from tests.datamodules.conftest import DAMAGES, picture
from tests.refusals import refused


def by_pillow(file: Path) -> torch.Tensor:
    with Image.open(file) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGB", "PNG"),
        ("L", "PNG"),
        ("P", "PNG"),
        ("RGB", "BMP"),
        ("RGB", "TIFF"),
        ("RGB", "WEBP"),
        ("P", "GIF"),
    ],
)
def test_every_format_whatever_the_name(mode: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "n02105855_2933.JPEG"
    picture(1).convert(mode).save(file, kind)
    pixels = read_image(file)
    assert pixels.dtype == torch.uint8 and pixels.shape == (3, 40, 48)
    assert (pixels.int() - by_pillow(file).int()).abs().max() <= 2


def test_transparent_and_sixteen_bit_images(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    picture(1).convert("RGBA").save(file)
    assert read_image(file).shape == (3, 40, 48)
    Image.fromarray(np.full((40, 48), 0x80FF, dtype=np.uint16)).save(file)
    assert read_image(file).unique().tolist() == [0x80]


def test_an_animation_gives_its_first_image(tmp_path: Path) -> None:
    file = tmp_path / "a.gif"
    picture(0).save(file, save_all=True, append_images=[picture(1), picture(2)])
    assert (read_image(file).int() - by_pillow(file).int()).abs().max() <= 2


def test_rotation_in_the_metadata_is_left_alone(tmp_path: Path) -> None:
    image = picture(1)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (3, 40, 48)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_named(damage, tmp_path: Path) -> None:
    file = tmp_path / "a.JPEG"
    picture(1).save(file)
    damage(file)
    with pytest.raises(UnreadableImage) as error:
        read_image(file)
    assert error.value.values["name"] == str(file) and "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with refused(Defect.OTHER, name=str(tmp_path / "gone.JPEG"), said="No such file or directory"):
        read_image(tmp_path / "gone.JPEG")


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """A header that promises 40,000 x 40,000 pixels over a handful of bytes."""
    picture(1).save(stream := io.BytesIO(), "PNG")
    data = bytearray(stream.getvalue())
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    assert MAX_PIXELS < 40_000**2
    with refused(Defect.TOO_MANY_PIXELS, name=str(tmp_path / "a.png"), limit=MAX_PIXELS):
        read_image(tmp_path / "a.png")
