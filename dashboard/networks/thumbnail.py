"""A network's silhouette for the gallery: the drawing without a word, one path for each colour."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from dashboard.networks.parts import Box, DrawnStage, Part

WIDTH, HEIGHT = 208.0, 46.0
AXIS = 26.0  # below the middle: arcs need room above
GAP = 1.6
# So often is drawn at most what repeats: deep networks are longer, but fit.
MOST_REPEATS = 4
LARGEST_SCALE = 2.4
ARC = "arc"


class Mark(NamedTuple):
    """A bar of a kind of layer, or an arc over some; widths grow with the picture, heights do not."""

    kind: str
    x: float
    y: float
    width: float
    height: float

    def path(self, scale: float) -> str:
        """Write it as a part of a path."""
        x, width = self.x * scale, self.width * scale
        if self.kind == ARC:
            return f"M{x:.1f} {self.y:.1f}q{width / 2:.1f} -7 {width:.1f} 0"
        return f"M{x:.1f} {self.y:.1f}h{width:.1f}v{self.height:.1f}h{-width:.1f}z"


def thumbnail(stages: Sequence[DrawnStage]) -> str:
    """Draw a network's silhouette."""
    marks: list[Mark] = []
    place = 0.0
    for stage in stages:
        for repeated in () if stage.auxiliary else stage.parts:
            for part in repeated.parts * min(repeated.count, MOST_REPEATS):
                drawn = list(_mark(part, place))
                marks += drawn
                place = max(mark.x + mark.width for mark in drawn) + GAP
    scale = min(LARGEST_SCALE, WIDTH / max(place, 1.0))
    paths = {kind: "".join(mark.path(scale) for mark in marks if mark.kind == kind) for kind in _kinds(marks)}
    drawing = "".join(f'<path class="{escape(kind)}" d="{path}"/>' for kind, path in paths.items())
    view = f"0 {-AXIS:.0f} {WIDTH:.0f} {HEIGHT:.0f}"
    return f'<svg class="thumbnail" viewBox="{view}" aria-hidden="true">{drawing}</svg>'


def _kinds(marks: Sequence[Mark]) -> dict[str, None]:
    return dict.fromkeys(mark.kind for mark in marks)


def _mark(part: Part, place: float) -> Iterator[Mark]:
    boxes = _outline(part)
    height = max(map(_height, boxes))
    if isinstance(part, Box) or part.is_shortcut:
        end = place
        for box in boxes:
            yield Mark(box.kind, end, -_height(box) / 2, _width(box), _height(box))
            end += _width(box) + GAP / 2
        if not isinstance(part, Box):
            yield Mark(ARC, place, -height / 2 - 1, end - GAP / 2 - place, 0.0)
        return
    each = height / len(boxes)
    for row, box in enumerate(boxes):
        yield Mark(box.kind, place, row * each - height / 2, 1.4 * max(map(_width, boxes)), 0.75 * each)


def _outline(part: Part) -> list[Box]:
    """Return the layers that stand for a part: those of the working branch, or the last of each branch."""
    if isinstance(part, Box):
        return [part]
    if part.is_shortcut:
        return [box for one in part.worker for box in _outline(one)]
    return [_outline(branch[-1])[-1] for branch in part.branches if branch]


def _width(box: Box) -> float:
    return 2.2 + 0.45 * math.log2(max(box.channels, 1))


def _height(box: Box) -> float:
    return 4 + 4.0 * math.log2(max(box.side, 1))
