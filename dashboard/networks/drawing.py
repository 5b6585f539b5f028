"""Draws a network as SVG: boxes as high as their maps and as wide as their channels, branches and shortcuts.

Every part is a picture of its own, so that a long network wraps like a text and stays readable on a narrow
page. Colours are classes of `style.css`, which knows light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dashboard.networks.parts import (
    TIMES,
    Box,
    DrawnStage,
    Parallel,
    Part,
    Repeated,
    Series,
    boxes,
)

KINDS = {
    "conv": "convolution",
    "pool": "pool",
    "linear": "linear layer",
    "norm": "batch normalisation",
    "lrn": "local response normalisation",
    "other": "other",
}
GAP = 9.0
ROW_GAP = 5.0
FORK = 15.0
ROUND = 3


@dataclass(frozen=True)
class Shape:
    """Something drawn around an axis: it starts at (0, 0) and continues at (width, 0)."""

    svg: str
    width: float
    up: float
    down: float

    def at(self, x: float, y: float = 0.0) -> str:
        """Move it to a place."""
        return f'<g transform="translate({x:.1f} {y:.1f})">{self.svg}</g>'


def draw(name: str, stages: Sequence[DrawnStage]) -> str:
    """Draw a network from the images to the classes as HTML that holds one SVG a part.

    Args:
        name: of the network, for those who hear the page instead of seeing it.
        stages: what it consists of.
    """
    drawn = [(stage, _draw_stage(stage)) for stage in stages]
    shapes = [shape for _, parts in drawn for shape in parts]
    up = max((shape.up for shape in shapes), default=0.0) + 26
    down = max((shape.down for shape in shapes), default=0.0) + 22
    pictures = [
        _picture(stage, shape, place, len(parts), up, down)
        for stage, parts in drawn
        for place, shape in enumerate(parts)
    ]
    described = escape(f"{name}, from the image to the classes: {describe(stages)}")
    return f'<div class="drawing" role="img" aria-label="{described}">{"".join(pictures)}</div>'


def describe(stages: Sequence[DrawnStage]) -> str:
    """Describe what the drawing shows: `conv1, 64 x 112 x 112; conv2, 3 residual blocks, ...`."""
    return "; ".join(_describe(stage) for stage in stages)


def legend(stages: Sequence[DrawnStage]) -> str:
    """Explain the colours that a drawing has, as HTML."""
    parts = [part for stage in stages for repeated in stage.parts for part in repeated.parts]
    kinds = {kind for box in boxes(tuple(parts)) for kind in (box.kind, box.norm)}
    entries = [f'<span><i class="{kind}"></i>{word}</span>' for kind, word in KINDS.items() if kind in kinds]
    if any(isinstance(part, Parallel) and part.is_shortcut for part in parts):
        entries.append('<span><i class="arc"></i>shortcut, added</span>')
    return f'<div class="drawing-legend">{"".join(entries)}</div>'


def _picture(stage: DrawnStage, shape: Shape, place: int, count: int, up: float, down: float) -> str:
    is_first, is_last = place == 0, place == count - 1
    size = stage.size
    title = f"{stage.name}, in training only" if stage.auxiliary else stage.name
    texts = [title] * is_first + [size] * (is_last and not stage.auxiliary)
    # Room for half a name in each part is enough where there are several.
    width = max(shape.width + 12, *(_text_width(text) / min(count, 2) + 8 for text in texts), 0.0)
    left = (width - shape.width) / 2
    rule = f"M{4 if is_first else 0} {-up + 18:.1f}H{width - 4 if is_last else width:.1f}"
    parts = [
        f"<title>{escape(title)}: {escape(size)}</title>",
        f'<path class="wire" d="M0 0H{width:.1f}"/><path class="rule" d="{rule}"/>',
        _text(4, -up + 11, title, "name") if is_first else "",
        shape.at(left),
        _text(width - 4, down - 6, size, "size") if is_last and not stage.auxiliary else "",
    ]
    kind = " auxiliary" if stage.auxiliary else ""
    return (
        f'<svg class="part{kind}" width="{width:.0f}" height="{up + down:.0f}" '
        f'viewBox="0 {-up:.1f} {width:.1f} {up + down:.1f}">{"".join(parts)}</svg>'
    )


def _draw_stage(stage: DrawnStage) -> list[Shape]:
    if stage.auxiliary:
        series = tuple(part for repeated in stage.parts for part in repeated.parts * repeated.count)
        return [_draw_side(series)]
    return [_draw_repeated(repeated) for repeated in stage.parts] or [Shape("", 0.0, 0.0, 0.0)]


def _draw_repeated(repeated: Repeated) -> Shape:
    inner = _draw_series(repeated.parts, small=False)
    if repeated.count == 1:
        return inner
    width, up, down = inner.width + 2 * GAP, inner.up + 5, inner.down + 5
    svg = (
        f'<rect class="frame" x="0" y="{-up:.1f}" width="{width:.1f}" height="{up + down:.1f}" rx="6"/>'
        f"{inner.at(GAP)}{_text(width / 2, down + 13, f'{TIMES} {repeated.count}', 'times')}"
    )
    return Shape(svg, width, up, down + 16)


def _draw_side(series: Series) -> Shape:
    """Draw an auxiliary head below the wire it hangs on."""
    inner = _draw_series(series, small=True)
    drop = inner.up + 16
    wire = f'<path class="wire" d="M0 0C{FORK:.0f} 0 0 {drop:.1f} {FORK:.0f} {drop:.1f}"/>'
    frame = (
        f'<rect class="frame" x="{FORK - 5:.1f}" y="{drop - inner.up - 5:.1f}" '
        f'width="{inner.width + 10:.1f}" height="{inner.up + inner.down + 10:.1f}" rx="6"/>'
    )
    return Shape(wire + frame + inner.at(FORK, drop), inner.width + FORK + 5, 6.0, drop + inner.down + 6)


def _draw_series(series: Series, *, small: bool) -> Shape:
    shapes = [_draw_part(part, small=small) for part in series]
    place = 0.0
    drawn = []
    for shape in shapes:
        drawn.append(shape.at(place))
        place += shape.width + GAP
    width = max(place - GAP, 0.0)
    wire = f'<path class="wire" d="M0 0H{width:.1f}"/>'
    up, down = (max((getattr(shape, side) for shape in shapes), default=0.0) for side in ("up", "down"))
    return Shape(wire + "".join(drawn), width, up, down)


def _draw_part(part: Part, *, small: bool) -> Shape:
    if isinstance(part, Box):
        return _draw_box(part, small=small)
    return _draw_shortcut(part, small=small) if part.is_shortcut else _draw_branches(part)


def _draw_box(box: Box, *, small: bool) -> Shape:
    """Draw a layer: what it does and how many channels it puts out, a strip for its normalisation."""
    first, *rest = [f"dw {box.label}"] if 1 < box.groups == box.channels else box.label.split(" ", 1)
    last = " ".join([*rest, *[f"/{box.stride}"] * (box.stride > 1)])
    # A pool hands its channels on: it says what it does in two lines instead.
    both = [first, last] if box.kind == "pool" else [f"{first} {last}".strip(), str(box.channels)]
    lines = [" ".join(filter(None, both))] if small else [line for line in both if line]
    strip = 6.0 if box.norm else 0.0
    wide = 0.0 if small else 6 + 4 * math.log2(max(box.channels, 1))
    width = max(wide, *(_text_width(line) + 8 for line in lines)) + strip
    height = 20.0 if small else 30 + 10 * math.log2(max(box.side, 1))
    top = -height / 2
    svg = [
        f"<title>{escape(_say(box))}</title>",
        f'<rect class="box {escape(box.kind)}" x="0" y="{top:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="{ROUND}"/>',
    ]
    if box.norm:
        svg.append(
            f'<rect class="strip {escape(box.norm)}" x="{width - strip:.1f}" y="{top + 1:.1f}" '
            f'width="{strip - 1:.1f}" height="{height - 2:.1f}" rx="1.5"/>'
        )
    middle = (width - strip) / 2
    if not small and 1 < box.groups <= 4:
        svg += [
            f'<path class="cut" d="M0 {top + height * n / box.groups:.1f}H{width - strip:.1f}"/>'
            for n in range(1, box.groups)
        ]
    offsets = [4.0] if len(lines) == 1 else [-4.0, 12.0]
    svg += [_text(middle, offset, line, "word") for offset, line in zip(offsets, lines, strict=True)]
    return Shape("".join(svg), width, height / 2, height / 2)


def _draw_branches(part: Parallel) -> Shape:
    """Draw branches under each other, forking before and meeting after."""
    rows = [_draw_series(branch, small=True) for branch in part.branches]
    heights = [max(row.up + row.down, 8.0) for row in rows]
    total = sum(heights) + ROW_GAP * (len(rows) - 1)
    inner = max(row.width for row in rows)
    end = inner + 2 * FORK
    svg, top = [], -total / 2
    for row, height in zip(rows, heights, strict=True):
        axis = top + (height + row.up - row.down) / 2
        left = FORK + (inner - row.width) / 2
        svg.append(
            f'<path class="wire" d="M0 0C{FORK / 2:.1f} 0 {FORK / 4:.1f} {axis:.1f} {FORK:.1f} {axis:.1f}'
            f'H{end - FORK:.1f}C{end - FORK / 4:.1f} {axis:.1f} {end - FORK / 2:.1f} 0 {end:.1f} 0"/>'
        )
        svg.append(row.at(left, axis))
        top += height + ROW_GAP
    if part.join == "add":
        svg.append(_plus(end))
        end += 6
    # Where branches run, nothing goes straight through: an even number of them leaves the axis free.
    cover = f'<rect class="gap" x="1" y="-2" width="{end - 2:.1f}" height="4"/>'
    return Shape(cover + "".join(svg), end, total / 2, total / 2)


def _draw_shortcut(part: Parallel, *, small: bool) -> Shape:
    """Draw the branch that works on the axis and an arc over it, with the projection on the arc."""
    inner, projection = _draw_series(part.worker, small=small), _draw_series(part.around, small=True)
    end = max(inner.width, projection.width + 16) + 2 * FORK + 6
    rise = inner.up + max(projection.down, 0.0) + 9
    bend = FORK * 0.8
    arc = (
        f'<path class="arc" d="M2 0C2 {-rise:.1f} 2 {-rise:.1f} {bend + 6:.1f} {-rise:.1f}'
        f'H{end - bend - 12:.1f}C{end - 6:.1f} {-rise:.1f} {end - 6:.1f} {-rise:.1f} {end - 6:.1f} -6"/>'
    )
    middle = (end - 6) / 2
    svg = (
        arc
        + inner.at(middle - inner.width / 2)
        + (projection.at(middle - projection.width / 2, -rise) if part.around else "")
        + (_plus(end - 6) if part.join == "add" else "")
    )
    return Shape(svg, end, rise + max(projection.up, 2.0), inner.down)


def _plus(x: float) -> str:
    return (
        f'<circle class="plus" cx="{x:.1f}" cy="0" r="6"/><path class="cross" d="M{x - 3:.1f} 0h6m-3-3v6"/>'
    )


def _describe(stage: DrawnStage) -> str:
    parts = [_describe_repeated(repeated) for repeated in stage.parts]
    return f"{stage.name}: {', '.join([*parts, stage.size])}"


def _describe_repeated(repeated: Repeated) -> str:
    words = [_describe_part(part) for part in repeated.parts]
    return (f"{repeated.count} times " if repeated.count > 1 else "") + " and ".join(words)


def _describe_part(part: Part) -> str:
    if isinstance(part, Box):
        return f"{part.label} {part.kind}"
    return "residual block" if part.is_shortcut else f"{len(part.branches)} branches"


def _say(box: Box) -> str:
    groups = f", {box.groups} groups" if box.groups > 1 else ""
    stride = f", stride {box.stride}" if box.stride > 1 else ""
    norm = f", then {KINDS.get(box.norm, box.norm)}" if box.norm else ""
    size = f" {TIMES} ".join(
        map(str, (box.channels, box.side, box.side) if box.side > 1 else (box.channels,))
    )
    return f"{box.label} {KINDS.get(box.kind, box.kind)}{stride}{groups}{norm}: {size}"


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _text_width(text: str) -> float:
    return 6.2 * len(text)
