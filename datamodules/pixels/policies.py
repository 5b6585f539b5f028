"""Random operations on a view, in the processes that read images: RandAugment and TrivialAugment.

The operations and their magnitudes are torchvision's. They are drawn here from the seed of an image, since
torchvision draws from a generator that all threads of a process share. Geometric operations use the nearest
pixel and fill with black, the defaults of torchvision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import atan, degrees
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from datamodules.images import Pixels

NUM_LEVELS = 31
# Larger than all seeds of images, so that the draws are independent of those of views.
OTHER_SEEDS = 2**62


@dataclass(frozen=True)
class Reach:
    """The magnitude of each kind of operation at the highest level.

    Attributes:
        shear: Horizontal pixels for each vertical pixel, or vice versa.
        translate: Share of the side.
        rotate: Angle in degrees.
        enhance: Change of brightness, saturation, contrast and sharpness; with 1, they are 0 or doubled.
        posterize: Number of bits of 8 that are removed.
    """

    shear: float
    translate: float
    rotate: float
    enhance: float
    posterize: int


@cache
def _torchvision() -> Any:
    """Return torchvision's operations; importing them takes a second, and most trainings do not use them."""
    return import_module("torchvision.transforms.v2").functional


# Maps an image and a level from -1 to 1 to an image.
Operation = Callable[[Image.Image, float, Reach], Image.Image]


def _affine(image: Image.Image, **changes: Any) -> Image.Image:
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    moved: Image.Image = _torchvision().affine(image, **(still | changes))
    return moved


def _shear_x(image: Image.Image, level: float, reach: Reach) -> Image.Image:
    return _affine(image, shear=[degrees(atan(level * reach.shear)), 0.0], center=[0, 0])


def _shear_y(image: Image.Image, level: float, reach: Reach) -> Image.Image:
    return _affine(image, shear=[0.0, degrees(atan(level * reach.shear))], center=[0, 0])


SIGNED: tuple[Operation, ...] = (
    _shear_x,
    _shear_y,
    lambda image, level, reach: _affine(image, translate=[int(level * reach.translate * image.width), 0]),
    lambda image, level, reach: _affine(image, translate=[0, int(level * reach.translate * image.height)]),
    lambda image, level, reach: _torchvision().rotate(image, level * reach.rotate),
    lambda image, level, reach: _torchvision().adjust_brightness(image, 1 + level * reach.enhance),
    lambda image, level, reach: _torchvision().adjust_saturation(image, 1 + level * reach.enhance),
    lambda image, level, reach: _torchvision().adjust_contrast(image, 1 + level * reach.enhance),
    lambda image, level, reach: _torchvision().adjust_sharpness(image, 1 + level * reach.enhance),
)
UNSIGNED: tuple[Operation, ...] = (
    lambda image, level, reach: image,
    lambda image, level, reach: _torchvision().posterize(image, 8 - round(level * reach.posterize)),
    lambda image, level, reach: _torchvision().solarize(image, 255 * (1 - level)),
    lambda image, level, reach: _torchvision().autocontrast(image),
    lambda image, level, reach: _torchvision().equalize(image),
)
OPERATIONS = SIGNED + UNSIGNED


@dataclass(frozen=True)
class Policy:
    """A number of random operations in succession.

    Attributes:
        num_operations: Number of operations on each image.
        level: Level from 0 to `NUM_LEVELS` - 1; drawn for each operation if None.
        reach: Magnitudes of the highest level.
    """

    num_operations: int
    level: int | None
    reach: Reach

    def apply(self, pixels: Pixels, seed: int) -> Pixels:
        """Apply the policy to a view, uint8, S x S x 3; draws depend only on the seed."""
        random = Random(OTHER_SEEDS + seed)
        image = Image.fromarray(pixels)
        for _ in range(self.num_operations):
            operation = random.choice(OPERATIONS)
            level = random.randrange(NUM_LEVELS) if self.level is None else self.level
            sign = random.choice((-1, 1)) if operation in SIGNED else 1
            image = operation(image, sign * level / (NUM_LEVELS - 1), self.reach)
        return np.asarray(image)


# Cubuk 2020, with two operations at level 9, the defaults of torchvision for ImageNet.
RANDAUGMENT = Policy(2, 9, Reach(shear=0.3, translate=150 / 331, rotate=30, enhance=0.9, posterize=4))
# Müller and Hutter 2021, "Wide": one operation of any level, 32 pixels of 224 at most.
TRIVIALAUGMENT = Policy(1, None, Reach(shear=0.99, translate=32 / 224, rotate=135, enhance=0.99, posterize=6))
