"""Which part of a picture is seen: boxes in source pixels, drawn from its size and a seed alone.

A view is chosen before a pixel is decoded, so that decoders can leave out what it does not need. Sizes
follow the papers in proportion: where they cut 224 pixels out of 256, 64 are cut out of 73.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import exp, log, sqrt
from random import Random

from datamodules.images import Chooser, View

# Pixels of a picture that is resized as a whole. Only strips a hundred times as long as wide have more.
MAX_RESIZED = 8_000_000


# A view from a seeded source of randomness, height and width of a picture, and the size of the view.
Draughtsman = Callable[[Random, int, int, int], View]


def margin(size: int, paper_size: int) -> int:
    """Return the pixels that correspond to ``paper_size`` where the view has ``size`` and not 224."""
    return round(size * paper_size / 224)


def center(side: int, size: int, height: int, width: int) -> View:
    """Short side resized to ``side``, the center of ``size``: exactly torchvision's Resize and CenterCrop."""
    rows, columns = resized(height, width, side)
    view = _cut(height, width, side, round((rows - size) / 2), round((columns - size) / 2), size)
    is_resized = (rows, columns) != (height, width) and rows * columns <= MAX_RESIZED
    return view._replace(whole=(rows, columns)) if is_resized else view


def square_crop(random: Random, height: int, width: int, size: int) -> View:
    """Krizhevsky 2012: short side 256, its center 256 x 256, a random 224 x 224 of it."""
    side = margin(size, 256)
    rows, columns = resized(height, width, side)
    top = round((rows - side) / 2) + random.randint(0, side - size)
    left = round((columns - side) / 2) + random.randint(0, side - size)
    return _snap(_cut(height, width, side, top, left, size), height, width)


def scale_jitter(random: Random, height: int, width: int, size: int, largest: int) -> View:
    """Simonyan and Zisserman 2014: short side from 256 to ``largest``, a random 224 x 224."""
    side = random.randint(margin(size, 256), margin(size, largest))
    rows, columns = resized(height, width, side)
    top, left = random.randint(0, rows - size), random.randint(0, columns - size)
    return _snap(_cut(height, width, side, top, left, size), height, width)


def random_resized_crop(random: Random, height: int, width: int, size: int) -> View:
    """Szegedy 2014: 8 to 100 % of the area, sides 3:4 to 4:3; drawn like torchvision's RandomResizedCrop."""
    for _ in range(10):
        area = height * width * random.uniform(0.08, 1.0)
        ratio = exp(random.uniform(log(3 / 4), log(4 / 3)))
        columns, rows = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < columns <= width and 0 < rows <= height:
            top, left = random.randint(0, height - rows), random.randint(0, width - columns)
            return View(left, top, left + columns, top + rows, size)
    # A picture so long that nothing fits: its center, as close to these sides as it can be.
    columns, rows = min(width, max(1, round(height * 4 / 3))), min(height, max(1, round(width * 4 / 3)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return View(left, top, left + columns, top + rows, size)


def padded_crop(random: Random, height: int, width: int, size: int) -> View:
    """He 2015, section 4.2: the picture moved by up to 4 pixels of 32 each way, black where it ends."""
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
        can_mirror: Whether to mirror every other image.
    """

    draw: Draughtsman
    size: int
    can_mirror: bool

    def seeded(self, seed: int) -> Chooser:
        """Return what chooses the view of one image."""
        return partial(self._choose, seed)

    def _choose(self, seed: int, height: int, width: int) -> View:
        random = Random(seed)
        view = self.draw(random, height, width, self.size)
        return view._replace(mirrored=random.random() < 0.5) if self.can_mirror else view


def resized(height: int, width: int, side: int) -> tuple[int, int]:
    """Return height and width once the short side is ``side``; the long one is cut to whole pixels."""
    if height <= width:
        return side, max(side, int(side * width / height))
    return max(side, int(side * height / width)), side


def _cut(height: int, width: int, side: int, top: int, left: int, size: int) -> View:
    """Return the view of ``size`` at a place of the picture that was resized to a short side of ``side``."""
    rows, columns = resized(height, width, side)
    down, across = height / rows, width / columns
    return View(left * across, top * down, (left + size) * across, (top + size) * down, size)


def _snap(view: View, height: int, width: int) -> View:
    """Move a box's edges to whole pixels where there are more of them than in the view: fast, and no loss.

    That moves and stretches what is seen by less than one of its own pixels, by chance in each image.
    """
    if view.right - view.left < view.size or view.bottom - view.top < view.size:
        return view
    columns, rows = round(view.right - view.left), round(view.bottom - view.top)
    left, top = min(round(view.left), width - columns), min(round(view.top), height - rows)
    return view._replace(left=left, top=top, right=left + columns, bottom=top + rows)
