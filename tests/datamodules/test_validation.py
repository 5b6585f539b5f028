"""Validation sees what torchvision's published weights were tested on, to one level of 255.

From files to what a network takes: `ImageNetDataModule` on one side, Pillow and the transforms that come with
the weights on the other.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import WeightsEnum, get_model_weights

from datamodules.imagenet import ImageNetDataModule
from lightning_modules import registry
from lightning_modules.architecture import Architecture
from lightning_modules.weights import published_weights, read_errors

# Height and width: photographs upright and lying, square, exact fits, tiny, long, halves and odd fractions.
SHAPES = (
    *((375, 500), (500, 375), (333, 500), (256, 256), (224, 224), (512, 512), (512, 1024), (342, 456)),
    *((90, 100), (20, 31), (1, 1), (3, 700), (257, 255), (1200, 1600), (299, 299), (464, 465)),
)
MODES = ("RGB", "L", "CMYK")


def photograph(height: int, width: int) -> Image.Image:
    """Noise, edges and slopes at every scale: what resampling gets wrong shows."""
    random = np.random.default_rng(height * width)
    picture = np.zeros((height, width, 3))
    for step in (1, 4, 16, 64):
        rough = random.integers(0, 256, (height // step + 1, width // step + 1, 3), dtype=np.uint8)
        picture += np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)) / 4
    return Image.fromarray(picture.astype(np.uint8))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every shape as RGB, grey and CMYK JPEG and as PNG, to validate on."""
    root = tmp_path_factory.mktemp("photographs")
    for name in ("a", "b"):
        (root / "train" / name).mkdir(parents=True)
        photograph(40, 40).save(root / "train" / name / "one.JPEG")
    for name in ("a", "b"):
        (root / "val" / name).mkdir(parents=True)
    for height, width in SHAPES:
        image = photograph(height, width)
        for mode in MODES:
            image.convert(mode).save(root / "val" / "a" / f"{height}x{width}-{mode}.JPEG", quality=90)
        image.save(root / "val" / "b" / f"{height}x{width}.JPEG", "PNG")
    return root


PRESETS = {
    (entry.transforms().resize_size[0], entry.transforms().crop_size[0]): entry
    for one in registry.architectures().values()
    if one.counterpart and one.counterpart.library == "torchvision"
    for entry in get_model_weights(one.counterpart.name)
    if read_errors(entry)
}


@pytest.mark.parametrize("entry", PRESETS.values(), ids=[f"{side} to {cut}" for side, cut in PRESETS])
def test_pixels_are_those_of_the_published_weights(entry: WeightsEnum, photographs: Path) -> None:
    preset = entry.transforms()
    (size,) = preset.crop_size
    settings = {"val_resize": 232} if entry.name == "IMAGENET1K_V2" else {}
    data = ImageNetDataModule(
        "folder", str(photographs), image_size=size, batch_size=2, num_workers=0, **settings
    )
    std = torch.tensor(preset.std)[:, None, None]
    files = sorted((photographs / "val").rglob("*.JPEG"))
    assert len(files) == data.val_images == len(SHAPES) * (len(MODES) + 1)
    seen = [data.on_before_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    images = torch.cat([data.on_after_batch_transfer(batch, 0)[0] for batch in seen])
    assert not data.damage.found and images.dtype == torch.float32
    for file, ours in zip(files, images, strict=True):
        with Image.open(file) as image:
            theirs = preset(image.convert("RGB"))
        differences = ((ours - theirs) * std).abs() * 255
        assert differences.max() < 1.001 and differences.mean() < 0.01, (file.name, float(differences.max()))


@pytest.mark.parametrize("architecture", registry.architectures().values(), ids=lambda one: one.key)
def test_sizes_are_those_of_the_published_weights(architecture: Architecture) -> None:
    """The weights one starts from without asking for others were tested at the network's own size."""
    if not architecture.counterpart or architecture.counterpart.library != "torchvision":
        pytest.skip("torchvision publishes none")
    preset = published_weights(architecture, architecture.counterpart.options).transforms()
    assert preset.crop_size == [architecture.input_size]
    assert (preset.resize_size[0], preset.crop_size[0]) in {(256, 224), (342, 299)}
