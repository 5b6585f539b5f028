"""The parts a network is drawn from: layers, branches, repetitions, stages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

LONGEST_PERIOD = 4
TIMES = "×"


@dataclass(frozen=True)
class Box:
    """One layer.

    Attributes:
        kind: as in the ledger, or `other`.
        label: what it does: `3x3`, `max 3x3`, `linear`.
        channels: what it puts out.
        side: height of the map it puts out, 1 for a vector.
        stride: in pixels.
        groups: into how many parts its channels are divided.
        norm: the kind of the normalisation right behind it, if any.
        stage: the child of the network it belongs to.
    """

    kind: str
    label: str
    channels: int
    side: int
    stride: int = 1
    groups: int = 1
    norm: str = ""
    stage: str = field(default="", compare=False)


@dataclass(frozen=True)
class Parallel:
    """Branches that begin at one place and meet again; an empty one hands on what it gets."""

    branches: "tuple[Series, ...]"
    join: Literal["add", "concat", "other"]

    @property
    def is_shortcut(self) -> bool:
        """Whether one branch works and its input, or a projection of it, goes around it."""
        return len(self.branches) == 2 and (self.join == "add" or not all(self.branches))

    @property
    def worker(self) -> "Series":
        """The branch with the most layers."""
        return max(self.branches, key=num_boxes)

    @property
    def around(self) -> "Series":
        """The branch with the fewest layers, often none."""
        return min(reversed(self.branches), key=num_boxes)


@dataclass(frozen=True)
class Repeated:
    """The same parts several times in a row."""

    parts: "Series"
    count: int


@dataclass(frozen=True)
class DrawnStage:
    """A stage as it is drawn: its name, what it puts out, its parts; `auxiliary` ones only train."""

    name: str
    output_shape: tuple[int, ...]
    parts: tuple[Repeated, ...]
    auxiliary: bool = False

    @property
    def size(self) -> str:
        """What it puts out in words: channels, height, width."""
        return f" {TIMES} ".join(str(length) for length in self.output_shape)


Part: TypeAlias = Box | Parallel
Series: TypeAlias = tuple[Part, ...]


def boxes(series: Series) -> Iterator[Box]:
    """Return every layer, those of branches included."""
    for part in series:
        if isinstance(part, Box):
            yield part
        else:
            for branch in part.branches:
                yield from boxes(branch)


def num_boxes(series: Series) -> int:
    """Count the layers, those of branches included."""
    return sum(1 for _ in boxes(series))


def fold(parts: Sequence[Part]) -> tuple[Repeated, ...]:
    """Write repetitions once: `a b a b c` becomes `(a b) x 2, c`."""
    folded: list[Repeated] = []
    place = 0
    while place < len(parts):
        count, period = max(
            ((_count(parts, place, period), period) for period in range(1, LONGEST_PERIOD + 1)),
            key=lambda found: ((found[0] - 1) * found[1], -found[1]),
        )
        folded.append(Repeated(tuple(parts[place : place + period]), count))
        place += count * period
    return tuple(folded)


def _count(parts: Sequence[Part], place: int, period: int) -> int:
    unit = tuple(parts[place : place + period])
    count = 1
    while tuple(parts[place + count * period : place + (count + 1) * period]) == unit:
        count += 1
    return count
