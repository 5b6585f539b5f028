"""Views lie where the papers say, whatever the picture's shape."""

from random import Random

import pytest

from datamodules.images import View
from datamodules.pixels.augmentation import AUGMENTATIONS, training_views
from datamodules.pixels.views import center, margin, random_resized_crop, scale_jitter, square_crop

SIZES = [(375, 500), (500, 375), (256, 256), (9, 9), (3000, 20), (1, 700), (1, 1)]


def draw_many(name: str, height: int, width: int, size: int = 224, count: int = 200) -> list[View]:
    views = training_views(AUGMENTATIONS[name], size, can_mirror=True)
    return [views.seeded(seed)(height, width) for seed in range(count)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_views_lie_inside_of_the_picture(name: str, height: int, width: int) -> None:
    # Only the paper's own padding reaches beyond, by an eighth of the view.
    reach = min(height, width) / 8 + 1e-6 if name == "cifar" else 1e-6
    for view in draw_many(name, height, width):
        assert -reach <= view.left < view.right <= width + reach
        assert -reach <= view.top < view.bottom <= height + reach


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_view_depends_on_seed_and_size_alone(name: str) -> None:
    views = draw_many(name, 375, 500)
    assert views == draw_many(name, 375, 500)
    assert len({view[:4] for view in views}) > 100
    assert 60 < sum(view.mirrored for view in views) < 140
    can_not = training_views(AUGMENTATIONS[name], 224, can_mirror=False)
    assert not any(can_not.seeded(seed)(375, 500).mirrored for seed in range(50))


def test_krizhevskys_crops_stay_in_the_center_square() -> None:
    crops = [square_crop(Random(seed), 256, 456, 224) for seed in range(500)]
    assert {crop.right - crop.left for crop in crops} == {224}
    assert (min(crop.left for crop in crops), max(crop.right for crop in crops)) == (100, 356)
    assert (min(crop.top for crop in crops), max(crop.bottom for crop in crops)) == (0, 256)


def test_scale_jitter_shrinks_the_short_side_to_256_up_to_512() -> None:
    scales = [224 / (crop.right - crop.left) for crop in _jittered(height=512, width=600)]
    assert min(scales) >= 0.5 and max(scales) <= 1 and max(scales) - min(scales) > 0.45


def _jittered(height: int, width: int) -> list[View]:
    return [scale_jitter(Random(seed), height, width, 224, largest=512) for seed in range(300)]


def test_crops_of_8_to_100_percent() -> None:
    crops = [random_resized_crop(Random(seed), 400, 400, 224) for seed in range(2000)]
    areas = [(crop.right - crop.left) * (crop.bottom - crop.top) / 160_000 for crop in crops]
    ratios = [(crop.right - crop.left) / (crop.bottom - crop.top) for crop in crops]
    assert 0.079 < min(areas) < 0.1 and 0.95 < max(areas) <= 1
    assert 0.74 < min(ratios) < 0.77 and 1.3 < max(ratios) < 1.35
    assert all(value == int(value) for crop in crops for value in crop[:4])


@pytest.mark.parametrize("name", ["light", "vgg", "resnet"])
def test_crops_of_large_pictures_have_whole_pixels(name: str) -> None:
    for view in draw_many(name, 1203, 1801):
        assert all(value == int(value) for value in view[:4])
        # The paper's squares, but for less than a pixel of the view.
        wide, high = view.right - view.left, view.bottom - view.top
        assert abs(wide - high) < wide / 224


def test_the_center() -> None:
    assert center(256, 224, 256, 456) == View(116, 16, 340, 240, 224)
    assert center(256, 224, 512, 512) == View(32, 32, 480, 480, 224, whole=(256, 256))
    assert center(256, 224, 512, 512).last_row == 512
    assert center(256, 224, 1, 100_000).whole is None, "25 million columns take too much memory"


def test_margins_follow_the_paper_in_proportion() -> None:
    assert [margin(224, 256), margin(224, 480), margin(224, 512), margin(64, 256)] == [256, 480, 512, 73]
