"""Every augmentation gives uint8 squares; validation is exactly resize and center crop."""

import pytest
import torch
from torchvision.transforms import v2

from datamodules.augmentation import (
    AUGMENTATIONS,
    PCA_VALUES,
    PCA_VECTORS,
    PCAColour,
    build_training,
    build_validation,
    margin,
)


@pytest.fixture
def photograph() -> torch.Tensor:
    return torch.randint(0, 256, (3, 120, 200), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_pixels_in_pixels_out(name: str, size: int, photograph: torch.Tensor) -> None:
    transform = build_training(name, size, can_mirror=True)
    torch.manual_seed(0)
    for image in (photograph, photograph[:, :, :50], photograph[:, :9, :9]):
        pixels = transform(image)
        assert pixels.dtype == torch.uint8 and pixels.shape == (3, size, size)
    assert not torch.equal(transform(photograph), transform(photograph))


def test_unknown_augmentation() -> None:
    with pytest.raises(ValueError, match=r"no augmentation 'dark'; choose one of: light, alexnet"):
        build_training("dark", 64, can_mirror=True)


def test_digits_are_never_mirrored() -> None:
    gradient = torch.arange(0, 250, 10, dtype=torch.uint8).expand(3, 25, 25)
    plain = build_training("light", 64, can_mirror=False)
    mirrored = build_training("light", 64, can_mirror=True)
    rises = [bool(image[0, 0, -1] > image[0, 0, 0]) for image in (plain(gradient) for _ in range(20))]
    assert all(rises)
    torch.manual_seed(0)
    rises = [bool(image[0, 0, -1] > image[0, 0, 0]) for image in (mirrored(gradient) for _ in range(20))]
    assert 0 < sum(rises) < 20


@pytest.mark.parametrize("size", [(300, 500), (500, 300), (256, 256), (100, 90)])
def test_validation_is_resize_256_and_crop_224(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)
    expected = v2.functional.center_crop(v2.functional.resize(image, [256], antialias=True), [224, 224])
    assert torch.equal(build_validation(224)(image), expected)


def test_small_images_are_seen_whole() -> None:
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(build_validation(32, "cifar")(image), image)
    assert not torch.equal(build_validation(32)(image), image)


def test_cifar_moves_images_by_four_pixels_at_most() -> None:
    image = torch.randint(1, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(image, (4, 4, 4, 4))
    views = {padded[:, y : y + 32, x : x + 32].numpy().tobytes() for y in range(9) for x in range(9)}
    crop = build_training("cifar", 32, can_mirror=False)
    found = {crop(image).numpy().tobytes() for _ in range(300)}
    assert found <= views and len(found) > 60


def test_margins_follow_the_paper_in_proportion() -> None:
    assert [margin(224, 256), margin(224, 480), margin(224, 512), margin(64, 256)] == [256, 480, 512, 73]


def test_colour_moves_along_the_components() -> None:
    """One shift for the whole image, whose covariance is V diag((0.1 lambda)^2) V^T on pixels from 0 to 1."""
    torch.manual_seed(0)
    grey = torch.full((3, 2, 2), 128, dtype=torch.uint8)
    colour = PCAColour()
    shifts = torch.stack([colour(grey).float() - 128 for _ in range(4000)]) / 255
    assert torch.equal(shifts.amax((2, 3)), shifts.amin((2, 3)))
    measured = torch.cov(shifts[:, :, 0, 0].T)
    vectors, values = torch.tensor(PCA_VECTORS), torch.tensor(PCA_VALUES)
    expected = vectors @ torch.diag((0.1 * values) ** 2) @ vectors.T
    rounding = (1 / 255) ** 2 / 12 * torch.eye(3)
    assert torch.allclose(measured, expected + rounding, rtol=0.1, atol=3e-6)
