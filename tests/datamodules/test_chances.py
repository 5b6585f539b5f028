"""The chances of each view are the paper's: where crops lie, how large they are, how many are mirrored.

Each sample is compared with what it should be by Kolmogorov's distance, whose limit an honest sample of
these seeds, which are always the same, passes once in 1,000.
"""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from datamodules.images import View
from datamodules.pixels.augmentation import AUGMENTATIONS, training_views

COUNT = 6000
LIMIT = 1.95 / math.sqrt(COUNT)
# The 2 x 10^4 fine steps of a large picture make the snapping of boxes to whole pixels invisible.
LARGE = 20_000


def draw(name: str, height: int, width: int, size: int = 224) -> list[View]:
    views = training_views(AUGMENTATIONS[name], size, can_mirror=True)
    return [views.seeded(seed)(height, width) for seed in range(COUNT)]


def distance_from_uniform(sample: Sequence[float], low: float, high: float) -> float:
    """The largest distance of the cumulated shares from those of numbers spread evenly."""
    expected = (np.sort(sample) - low) / (high - low)
    places = np.arange(len(sample)) / len(sample)
    return float(max((expected - places).max(), (places + 1 / len(sample) - expected).max()))


def distance_from_sample(sample: Sequence[float], other: Sequence[float]) -> float:
    """The same for two samples, whose limit is larger by the root of two."""
    everything = np.sort(np.concatenate([sample, other]))
    shares = [np.searchsorted(np.sort(one), everything, "right") / len(one) for one in (sample, other)]
    return float(np.abs(shares[0] - shares[1]).max()) / math.sqrt(2)


def is_unrelated(*samples: Sequence[float]) -> bool:
    """Whether no two samples go together; five times the deviation of chance."""
    return bool(np.abs(np.corrcoef(samples) - np.eye(len(samples))).max() < 5 / math.sqrt(COUNT))


@pytest.mark.parametrize("name", ["light", "alexnet"])
def test_alexnet_has_33_places_each_way(name: str) -> None:
    """224 out of 256, mirrored or not: 2,178 views, of which the paper counts 2,048."""
    views = draw(name, 256, 256)
    tops, lefts = [view.top for view in views], [view.left for view in views]
    for places in (tops, lefts):
        assert set(places) == set(range(33))
        assert max(abs(places.count(place) - COUNT / 33) for place in range(33)) < 4.5 * math.sqrt(COUNT / 33)
    assert is_unrelated(tops, lefts, [view.mirrored for view in views])
    assert len(set(views)) > 0.93 * 2178, "6,000 draws of 2,178 leave out 6 %"


@pytest.mark.parametrize(("name", "largest"), [("vgg", 512), ("resnet", 480)])
def test_short_sides_are_spread_evenly(name: str, largest: int) -> None:
    views = draw(name, LARGE, LARGE + 5000)
    # Of each whole number of pixels, any place within it: sides are drawn as whole numbers.
    chance = np.random.default_rng(0).uniform(-0.5, 0.5, COUNT)
    sides = [round(224 * LARGE / (view.bottom - view.top)) for view in views]
    assert (min(sides), max(sides)) == (256, largest)
    assert distance_from_uniform(sides + chance, 255.5, largest + 0.5) < LIMIT
    tops = [view.top / (LARGE - view.bottom + view.top) for view in views]
    lefts = [view.left / (LARGE + 5000 - view.right + view.left) for view in views]
    for places in (tops, lefts):
        assert min(places) == 0 and max(places) == pytest.approx(1, abs=0.01)
        assert distance_from_uniform(places, 0, 1) < LIMIT + 1 / 64, "whole pixels of the resized picture"
    assert is_unrelated(sides, tops, lefts, [view.mirrored for view in views])


@pytest.mark.parametrize(("height", "width"), [(400, 400), (375, 500), (500, 281)])
@pytest.mark.parametrize("name", ["googlenet", "modern", "heavy"])
def test_crops_of_8_to_100_percent_are_torchvisions(name: str, height: int, width: int) -> None:
    views = draw(name, height, width)
    torch.manual_seed(0)
    crop = v2.RandomResizedCrop(224, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3))
    image = torch.empty(3, height, width)
    theirs = [crop.make_params([image]) for _ in range(COUNT)]
    kinds = {
        "area": (
            [(view.bottom - view.top) * (view.right - view.left) for view in views],
            [one["height"] * one["width"] for one in theirs],
        ),
        "ratio": (
            [(view.right - view.left) / (view.bottom - view.top) for view in views],
            [one["width"] / one["height"] for one in theirs],
        ),
        "top": ([view.top for view in views], [one["top"] for one in theirs]),
        "left": ([view.left for view in views], [one["left"] for one in theirs]),
    }
    for kind, (ours, reference) in kinds.items():
        assert distance_from_sample(ours, reference) < LIMIT, kind


def test_crops_of_8_to_100_percent_are_szegedys() -> None:
    """Area and the logarithm of the ratio are spread evenly, as far as every box fits into the picture."""
    views = draw("googlenet", LARGE, LARGE)
    areas = np.array([(view.bottom - view.top) * (view.right - view.left) / LARGE**2 for view in views])
    ratios = np.array([math.log((view.right - view.left) / (view.bottom - view.top)) for view in views])
    fits = areas < 0.7  # 0.7 x 4/3 is below 1
    limit = 1.95 / math.sqrt(fits.sum())
    assert distance_from_uniform(areas[fits], 0.08, 0.7) < limit
    assert distance_from_uniform(ratios[fits], math.log(3 / 4), math.log(4 / 3)) < limit
    assert is_unrelated(areas, ratios, [view.mirrored for view in views])


def test_cifar_has_9_places_each_way() -> None:
    views = draw("cifar", 32, 32, size=32)
    for places in ([view.top for view in views], [view.left for view in views]):
        assert set(places) == set(range(-4, 5))
        assert max(abs(places.count(place) - COUNT / 9) for place in range(-4, 5)) < 4.5 * math.sqrt(
            COUNT / 9
        )
    assert is_unrelated(*([getattr(view, edge) for view in views] for edge in ("top", "left", "mirrored")))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_other_view_is_mirrored(name: str) -> None:
    mirrored = sum(view.mirrored for view in draw(name, 375, 500))
    assert abs(mirrored - COUNT / 2) < 3.3 * math.sqrt(COUNT) / 2
