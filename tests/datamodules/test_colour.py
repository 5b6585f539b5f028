"""Colours of a batch: what each image would get alone, and what torchvision makes of the same factors."""

from collections.abc import Callable

import pytest
import torch
from torchvision.transforms.v2 import functional

from datamodules.pixels.colour import JITTER, PCA_VALUES, PCA_VECTORS, jitter_colour, shift_colour
from datamodules.pixels.draws import draw_uniform

Colour = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
SEEDS = torch.randint(2**62, (4000,), generator=torch.Generator().manual_seed(0))
COLOURS = {"shift": shift_colour, "jitter": jitter_colour}


def photographs(count: int, height: int = 12, width: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)
    return pixels.to(torch.float32, memory_format=torch.channels_last)


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_an_image_looks_the_same_in_any_company(colour: Colour) -> None:
    pixels, seeds = photographs(16), SEEDS[:16]
    together = colour(pixels.clone(), seeds)
    assert together.is_contiguous(memory_format=torch.channels_last)
    order = torch.randperm(16)
    assert torch.allclose(colour(pixels[order], seeds[order]), together[order], atol=1e-4)
    assert torch.allclose(colour(pixels[3:4].clone(), seeds[3:4]), together[3:4], atol=1e-4)
    moved = (together - pixels).abs().amax((1, 2, 3))
    assert (moved > 0.01).all() and len(moved.unique()) == 16
    assert len(colour(pixels[:0], seeds[:0])) == 0


def test_shifts_along_the_components() -> None:
    """One shift for the whole image, whose covariance is V diag((0.1 lambda)^2) V^T on pixels from 0 to 1."""
    grey = torch.full((len(SEEDS), 3, 2, 2), 128.0)
    shifts = (shift_colour(grey, SEEDS) - 128) / 255
    assert torch.allclose(shifts.amax((2, 3)), shifts.amin((2, 3)))
    measured = torch.cov(shifts[:, :, 0, 0].T)
    vectors, values = torch.tensor(PCA_VECTORS), torch.tensor(PCA_VALUES)
    assert torch.allclose(
        measured, vectors @ torch.diag((0.1 * values) ** 2) @ vectors.T, rtol=0.1, atol=1e-6
    )
    assert torch.allclose(vectors @ vectors.T, torch.eye(3), atol=1e-3), "columns of length 1 at right angles"


def test_jitter_like_torchvision() -> None:
    """Image by image, the same factors in the same order, by the functions of torchvision's ColorJitter."""
    pixels, seeds = photographs(60), SEEDS[:60]
    ours = jitter_colour(pixels.clone(), seeds)
    draws = draw_uniform(seeds, 6, JITTER)
    orders = draws[:, 3:].argsort(dim=1)
    steps = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    for image, own, factors, order in zip(pixels / 255, ours, 0.6 + 0.8 * draws[:, :3], orders, strict=True):
        for which in order.tolist():
            image = steps[which](image, float(factors[which]))
        assert torch.allclose(image, own / 255, atol=1e-5)
    assert len({tuple(order) for order in orders.tolist()}) == 6


def test_jitter_is_drawn_evenly() -> None:
    """Of an image of one level of grey only the brightness changes, by 0.6 to 1.4."""
    level = torch.full((1000, 3, 1, 1), 100.0)
    factors = jitter_colour(level, SEEDS[:1000])[:, 0, 0, 0] / 100
    assert 0.6 <= factors.min() < 0.605 and 1.395 < factors.max() <= 1.4001
    assert abs(float(factors.mean()) - 1) < 0.03 and abs(float(factors.var()) - 0.8**2 / 12) < 0.006
