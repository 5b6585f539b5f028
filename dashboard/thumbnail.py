"""A network's silhouette for the gallery: the drawing without a word."""

import math
from collections.abc import Callable, Sequence
from html import escape

from dashboard.network_parts import Box, DrawnStage, Part

WIDTH, HEIGHT = 208.0, 46.0
AXIS = 26.0  # below the middle: arcs need room above
GAP = 1.6
# So often is drawn at most what repeats: deep networks are longer, but fit.
MOST_REPEATS = 4
LARGEST_SCALE = 2.4
Draw = Callable[[float], str]


def thumbnail(stages: Sequence[DrawnStage]) -> str:
    """Draw a network's silhouette."""
    marks: list[tuple[float, Draw]] = []
    place = 0.0
    for stage in stages:
        for repeated in () if stage.auxiliary else stage.parts:
            for part in repeated.parts * min(repeated.count, MOST_REPEATS):
                width, draw = _mark(part)
                marks.append((place, draw))
                place += width + GAP
    scale = min(LARGEST_SCALE, WIDTH / max(place, 1.0))
    drawn = "".join(f'<g transform="translate({x * scale:.1f})">{draw(scale)}</g>' for x, draw in marks)
    view = f"0 {-AXIS:.0f} {WIDTH:.0f} {HEIGHT:.0f}"
    return f'<svg class="thumbnail" viewBox="{view}" aria-hidden="true">{drawn}</svg>'


def _mark(part: Part) -> tuple[float, Draw]:
    """Give a part's width and what draws it once the scale is known."""
    if isinstance(part, Box):
        return _bars([part])
    if part.is_shortcut:
        width, draw = _bars(_outline(part))
        return width, lambda scale: draw(scale) + _arc(width * scale, max(map(_height, _outline(part))))
    return _rows(_outline(part))


def _bars(boxes: Sequence[Box]) -> tuple[float, Draw]:
    widths = [_width(box) for box in boxes]
    places = [sum(widths[:place]) + 0.8 * place for place in range(len(boxes))]

    def draw(scale: float) -> str:
        return "".join(
            _bar(box.kind, place * scale, -_height(box) / 2, width * scale, _height(box))
            for box, place, width in zip(boxes, places, widths, strict=True)
        )

    return places[-1] + widths[-1], draw


def _rows(boxes: Sequence[Box]) -> tuple[float, Draw]:
    width = 1.4 * max(map(_width, boxes))
    height = max(map(_height, boxes))
    each = height / len(boxes)

    def draw(scale: float) -> str:
        return "".join(
            _bar(box.kind, 0.0, place * each - height / 2, width * scale, 0.75 * each)
            for place, box in enumerate(boxes)
        )

    return width, draw


def _outline(part: Part) -> list[Box]:
    """Give the layers that stand for a part: those of the working branch, or the last of each branch."""
    if isinstance(part, Box):
        return [part]
    if part.is_shortcut:
        return [box for one in part.worker for box in _outline(one)]
    return [_outline(branch[-1])[-1] for branch in part.branches if branch]


def _width(box: Box) -> float:
    return 2.2 + 0.45 * math.log2(max(box.channels, 1))


def _height(box: Box) -> float:
    return 4 + 4.0 * math.log2(max(box.side, 1))


def _arc(width: float, height: float) -> str:
    return f'<path class="arc" d="M0 {-height / 2 - 1:.1f}q{width / 2:.1f} -7 {width:.1f} 0"/>'


def _bar(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{escape(kind)}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
