"""Views: boxes in pixels of the picture, which depend only on the picture's size and a seed.

A view is chosen before the picture is decoded, so that decoders can skip what is not needed. Sizes are in
proportion to those in the papers: a crop of 224 from 256 pixels corresponds to a crop of 64 from 73.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import exp, log, sqrt
from random import Random

from datamodules.images import Chooser, View

# Largest picture that is resized as a whole. Only strips a hundred times as long as wide have more pixels.
MAX_RESIZED = 8_000_000


# Draws a view, given a seeded generator, height and width of a picture, and the size of the view.
Draughtsman = Callable[[Random, int, int, int], View]


def margin(size: int, paper_size: int) -> int:
    """Return the pixels that correspond to ``paper_size`` if the view has ``size`` instead of 224."""
    return round(size * paper_size / 224)


def center(side: int, size: int, height: int, width: int) -> View:
    """Resize the short side to ``side`` and crop the center, equal to torchvision's Resize and CenterCrop."""
    rows, columns = resized(height, width, side)
    view = _cut(height, width, side, round((rows - size) / 2), round((columns - size) / 2), size)
    is_resized = (rows, columns) != (height, width) and rows * columns <= MAX_RESIZED
    return view._replace(whole=(rows, columns)) if is_resized else view


def square_crop(random: Random, height: int, width: int, size: int) -> View:
    """Draw from Krizhevsky 2012: short side 256, center 256 x 256, a random crop of 224 x 224."""
    side = margin(size, 256)
    rows, columns = resized(height, width, side)
    top = round((rows - side) / 2) + random.randint(0, side - size)
    left = round((columns - side) / 2) + random.randint(0, side - size)
    return _snap(_cut(height, width, side, top, left, size), height, width)


def scale_jitter(random: Random, height: int, width: int, size: int, largest: int) -> View:
    """Draw from Simonyan and Zisserman 2014: short side 256 to ``largest``, a random crop of 224 x 224."""
    side = random.randint(margin(size, 256), margin(size, largest))
    rows, columns = resized(height, width, side)
    top, left = random.randint(0, rows - size), random.randint(0, columns - size)
    return _snap(_cut(height, width, side, top, left, size), height, width)


def random_resized_crop(random: Random, height: int, width: int, size: int) -> View:
    """Draw from Szegedy 2014: 8 to 100% of the area, sides 3:4 to 4:3, like RandomResizedCrop."""
    for _ in range(10):
        area = height * width * random.uniform(0.08, 1.0)
        ratio = exp(random.uniform(log(3 / 4), log(4 / 3)))
        columns, rows = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < columns <= width and 0 < rows <= height:
            top, left = random.randint(0, height - rows), random.randint(0, width - columns)
            return View(left, top, left + columns, top + rows, size)
    # Nothing fits in a long picture: the center, with the ratio as close to the limits as possible.
    columns, rows = min(width, max(1, round(height * 4 / 3))), min(height, max(1, round(width * 4 / 3)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return View(left, top, left + columns, top + rows, size)


def padded_crop(random: Random, height: int, width: int, size: int) -> View:
    """Draw from He 2015, section 4.2: the picture moved by up to 4 of 32 pixels, black outside of it."""
    reach = round(size / 8)
    rows, columns = resized(height, width, size)
    top = round((rows - size) / 2) + random.randint(-reach, reach)
    left = round((columns - size) / 2) + random.randint(-reach, reach)
    return _cut(height, width, size, top, left, size)


@dataclass(frozen=True)
class TrainingViews:
    """Draws views for training images.

    Args:
        draw: Chooses a box.
        size: Side of the views in pixels.
        can_mirror: Whether to mirror images at random.
    """

    draw: Draughtsman
    size: int
    can_mirror: bool

    def seeded(self, seed: int) -> Chooser:
        """Return a function that chooses the view of one image."""
        return partial(self._choose, seed)

    def _choose(self, seed: int, height: int, width: int) -> View:
        random = Random(seed)
        view = self.draw(random, height, width, self.size)
        return view._replace(mirrored=random.random() < 0.5) if self.can_mirror else view


def resized(height: int, width: int, side: int) -> tuple[int, int]:
    """Return height and width with the short side ``side``; the long side is rounded down."""
    if height <= width:
        return side, max(side, int(side * width / height))
    return max(side, int(side * height / width)), side


def _cut(height: int, width: int, side: int, top: int, left: int, size: int) -> View:
    """Return the view of ``size`` at a position in the picture resized to a short side of ``side``."""
    rows, columns = resized(height, width, side)
    down, across = height / rows, width / columns
    return View(left * across, top * down, (left + size) * across, (top + size) * down, size)


def _snap(view: View, height: int, width: int) -> View:
    """Round the edges of a box to whole pixels if the view is smaller than the box, which is faster.

    This moves and stretches the view by less than one of its pixels, at random in each image.
    """
    if view.right - view.left < view.size or view.bottom - view.top < view.size:
        return view
    columns, rows = round(view.right - view.left), round(view.bottom - view.top)
    left, top = min(round(view.left), width - columns), min(round(view.top), height - rows)
    return view._replace(left=left, top=top, right=left + columns, bottom=top + rows)
