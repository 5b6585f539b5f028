"""Small image folders in ImageNet's layout, made of noise that JPEG keeps apart by class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datamodules.s3_server import server as server

CLASSES = ("n01440764", "n02102040", "n03000684")

THIRD_PARTY = (
    # Lightning 2.6 looks at torch's trees the old way.
    "ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning",
    # Its advice about speed, which a few digits do not need.
    "ignore:The '(train|val)_dataloader' does not have many workers",
)


def pytest_configure(config: pytest.Config) -> None:
    for line in THIRD_PARTY:
        config.addinivalue_line("filterwarnings", line)


def picture(colour: int, seed: int = 0, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """An image of one dominant channel with some noise, width x height."""
    noise = np.random.default_rng(seed).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    noise[:, :, colour % 3] += 150
    return Image.fromarray(noise)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes with four images to train on and two to validate on."""
    for split, count in (("train", 4), ("val", 2)):
        for label, name in enumerate(CLASSES):
            place = tmp_path / "images" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                picture(label, number).save(place / f"{name}_{number}.JPEG", quality=95)
    return tmp_path / "images"


Damage = Callable[[Path], None]


def cut_off(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def scribble(file: Path) -> None:
    file.write_bytes(b"<html>404 Not Found</html>" * 40)


DAMAGES: dict[str, Damage] = {"cut off": cut_off, "empty": empty, "no image": scribble}
