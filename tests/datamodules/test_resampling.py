"""A view has the pixels that resizing the whole picture and cutting would give."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from datamodules.images import View
from datamodules.pixels import resampling
from datamodules.pixels.augmentation import AUGMENTATIONS, training_views, validation_view


def noise(height: int, width: int, low: int = 0) -> Image.Image:
    """Noise with some structure: that of photographs would hide mistakes at edges."""
    random = np.random.default_rng(height)
    coarse = Image.fromarray(random.integers(low, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def cut(image: Image.Image, view: View) -> np.ndarray:
    out = np.empty((view.size, view.size, 3), np.uint8)
    resampling.cut(np.array(image), view, out)
    return out


def difference(pixels: np.ndarray, expected: Image.Image | torch.Tensor | np.ndarray) -> int:
    return int(np.abs(pixels.astype(int) - np.asarray(expected).astype(int)).max())


@pytest.mark.parametrize("size", [(300, 500), (500, 300), (256, 256), (100, 90), (375, 1000)])
def test_validation_is_resize_256_and_crop_224(size: tuple[int, int]) -> None:
    image = noise(*size)
    pixels = cut(image, validation_view(AUGMENTATIONS["light"], 224)(*size))
    for kind in (image, v2.functional.pil_to_tensor(image)):
        small = v2.functional.center_crop(v2.functional.resize(kind, [256], antialias=True), [224, 224])
        expected = small.permute(1, 2, 0) if isinstance(small, torch.Tensor) else small
        assert difference(pixels, expected) <= 1


def test_a_crop_is_cut_and_resized() -> None:
    image = noise(300, 400)
    pixels = cut(image, View(50, 60, 350, 260, 100))
    expected = image.crop((50, 60, 350, 260)).resize((100, 100), Image.Resampling.BILINEAR)
    assert difference(pixels, expected) <= 1
    mirrored = cut(image, View(50, 60, 350, 260, 100, mirrored=True))
    assert np.array_equal(mirrored, pixels[:, ::-1])


@pytest.mark.parametrize("box", [(50, 60, 350, 260), (50.5, 60.25, 350, 260)])
def test_rows_below_a_view_are_not_needed(box: tuple[float, float, float, float]) -> None:
    image = noise(300, 400)
    view = View(*box, 100)
    assert view.last_row < 300
    upper = image.crop((0, 0, 400, view.last_row))
    assert np.array_equal(cut(upper, view), cut(image, view))


@pytest.mark.parametrize("layout", ["rows of colours", "colours apart", "grey"])
@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 1), (1, 40), (1, 1)])
def test_pixels_may_lie_in_memory_in_any_order(layout: str, height: int, width: int) -> None:
    image = torch.from_numpy(np.array(noise(height, width)))
    if layout == "colours apart":
        image = image.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    elif layout == "grey":
        image = image[:, :, :1].expand(-1, -1, 3)
    for right, bottom in ((width, height), ((width + 1) // 2, height), (width, (height + 1) // 2)):
        out = np.empty((24, 24, 3), np.uint8)
        resampling.cut(image.numpy(), View(0, 0, right, bottom, 24), out)
        expected = Image.fromarray(image[:bottom, :right].contiguous().numpy())
        assert difference(out, expected.resize((24, 24), Image.Resampling.BILINEAR)) <= 1


def test_small_images_are_seen_whole() -> None:
    image = noise(32, 32)
    whole = cut(image, validation_view(AUGMENTATIONS["cifar"], 32)(32, 32))
    assert np.array_equal(whole, np.asarray(image))
    assert difference(cut(image, validation_view(AUGMENTATIONS["light"], 32)(32, 32)), image) > 1


def test_cifar_moves_images_by_four_pixels_at_most() -> None:
    image = noise(32, 32, low=60)
    padded = np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)))
    shifts = {padded[y : y + 32, x : x + 32].tobytes() for y in range(9) for x in range(9)}
    views = training_views(AUGMENTATIONS["cifar"], 32, can_mirror=False)
    found = {cut(image, views.seeded(seed)(32, 32)).tobytes() for seed in range(300)}
    assert found <= shifts and len(found) > 60


@pytest.mark.parametrize("size", [(120, 200), (120, 50), (9, 9), (1, 1), (2, 900)])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_view_of_every_shape_has_pixels(name: str, size: tuple[int, int]) -> None:
    views = training_views(AUGMENTATIONS[name], 64, can_mirror=True)
    pixels = torch.full((3, *size), 200, dtype=torch.uint8)
    for seed in range(20):
        view = np.empty((64, 64, 3), np.uint8)
        resampling.cut_whole(pixels, views.seeded(seed), view)
        assert (view == 200).mean() > 0.7, "at most the padding is black"
