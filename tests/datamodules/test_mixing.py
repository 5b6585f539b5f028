"""Erased and mixed images: rectangles and shares as published, targets that say what is in an image."""

import pytest
import torch

from datamodules.pixels.mixing import erase, mix

SEEDS = torch.randint(2**62, (6000,), generator=torch.Generator().manual_seed(0))


def boxes(hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Height, width, top and left of the one rectangle in each N x S x S of marks."""
    rows, columns = hidden.any(2).int(), hidden.any(1).int()
    heights, widths = rows.sum(1), columns.sum(1)
    assert torch.equal(hidden.sum((1, 2)), heights * widths), "a rectangle without holes"
    return heights, widths, rows.argmax(1), columns.argmax(1)


def test_erases_a_tenth_as_published() -> None:
    size = 40
    images = torch.ones(len(SEEDS), 1, size, size).expand(-1, 3, -1, -1).clone()
    hidden = erase(images, SEEDS)[:, 0] == 0
    is_erased = hidden.any((1, 2))
    assert abs(float(is_erased.float().mean()) - 0.1) < 0.02
    every = erase(torch.ones(len(SEEDS), 3, size, size), SEEDS, share=1.0)
    assert torch.equal(every[:, 0], every[:, 2])
    heights, widths, top, left = boxes(every[:, 0] == 0)
    areas, ratios = heights * widths / size**2, heights / widths
    # Sides are whole pixels, so that both reach a little further.
    assert 0.013 < areas.min() < 0.025 and 0.30 < areas.max() < 0.36
    assert 0.25 < ratios.min() < 0.35 and 2.9 < ratios.max() < 4
    assert abs(float(ratios.log().mean())) < 0.03, "as often upright as lying"
    assert 0.14 < areas.mean() < 0.175, "uniform, but for large and long ones that do not fit"
    room = size - heights
    places = (top / room)[room > 8]
    assert abs(float(places.mean()) - 0.5) < 0.02 and places.min() == 0 and places.max() == 1
    assert abs(float(torch.corrcoef(torch.stack([top.float(), left.float()]))[0, 1])) < 0.1


def test_erased_images_are_the_image_of_their_seed() -> None:
    images = torch.randn(32, 3, 24, 24)
    together = erase(images.clone(), SEEDS[:32], share=0.5)
    order = torch.randperm(32)
    assert torch.equal(erase(images[order], SEEDS[:32][order], share=0.5), together[order])
    assert torch.equal(erase(images[5:6].clone(), SEEDS[5:6], share=0.5), together[5:6])


@pytest.fixture(scope="module")
def mixed() -> tuple[torch.Tensor, torch.Tensor]:
    """What is left of each image beside a neighbour that is black: alternately white and black ones."""
    images = torch.zeros(len(SEEDS), 1, 32, 32)
    images[::2] = 1
    labels = torch.arange(len(SEEDS)) % 2
    return mix(images, labels, SEEDS, num_classes=3)


def test_targets_say_what_is_in_the_image(mixed: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, targets = mixed
    assert targets.shape == (len(SEEDS), 3) and torch.allclose(targets.sum(1), torch.ones(len(SEEDS)))
    assert torch.allclose(images.mean((1, 2, 3)), targets[:, 0], atol=1e-5), "white is class 0"
    assert not targets[:, 2].any()


def test_half_are_cut_and_half_faded(mixed: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, targets = (part[::2] for part in mixed)
    is_cut = ((images == 0) | (images == 1)).all(3).all(2)[:, 0]
    faded = targets[~is_cut, 0]
    # Beta(0.2, 0.2) leaves about one image of ten within 1/1000 of untouched; those look like cut ones here.
    assert 0.35 < float((~is_cut).float().mean()) < 0.51
    assert abs(float(faded.mean()) - 0.5) < 0.03
    heights, widths, _, _ = boxes(images[is_cut, 0] == 0)
    inside = (heights == widths) & (heights > 0)
    assert inside.float().mean() > 0.2, "squares, where no edge cuts them off"
    # Of a side s around any place s - s^2/4 is inside; squared, with s^2 uniform, 0.32, and sides round down.
    assert 0.27 < float((heights * widths).float().mean()) / 32**2 < 0.32


def test_a_pair_is_mixed_by_its_own_seed() -> None:
    images, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
    pixels, targets = mix(images, labels, SEEDS[:8], 8)
    pair, pair_targets = mix(images[2:4], labels[2:4], SEEDS[2:4], 8)
    assert torch.equal(pair[1], pixels[3]) and torch.equal(pair_targets[1], targets[3])
    alone, own = mix(images[:1], labels[:1], SEEDS[:1], 8)
    assert torch.allclose(alone, images[:1]) and torch.allclose(own, torch.eye(8)[:1]), (
        "with nobody but itself"
    )
    low, _ = mix(images.bfloat16(), labels, SEEDS[:8], 8)
    assert low.dtype == torch.bfloat16
