"""Colours for curves and marks: told apart by the colour-blind, readable on white and on near-black.

Every colour has a contrast of at least 3:1 against both backgrounds of `.streamlit/config.toml`; the first
five follow Okabe and Ito, darkened where they would be too pale on white.
"""

import zlib
from collections.abc import Iterable, Mapping

COLOURS = (
    "#d55e00",  # vermilion
    "#1c7ed6",  # blue
    "#009e73",  # green
    "#c2649a",  # pink
    "#b07d00",  # ochre
    "#8a63d2",  # violet
    "#2a9d9d",  # teal
    "#a8623c",  # brown
    "#7c8694",  # grey
)

GREY = "#7c8694"

# The networks everybody compares keep their colour whatever else is added.
FIRST_PICK: Mapping[str, int] = {"alexnet": 0, "vgg16": 1, "googlenet": 2, "resnet18": 3, "resnet50": 4}

SYMBOLS = ("circle", "square", "triangle-up", "x", "star", "pentagon")


def in_order(architectures: Iterable[str]) -> list[str]:
    """Sort architectures as they are listed everywhere: the well-known first, then by name."""
    return sorted(set(architectures), key=lambda key: (FIRST_PICK.get(key, len(FIRST_PICK)), key))


def pick_colours(architectures: Iterable[str]) -> dict[str, str]:
    """Return each architecture its colour: the same one every time, and no two alike while there are enough.

    Nine have a colour of their own; up to 27 differ at least in its shade.

    Args:
        architectures: keys, repetitions allowed.
    """
    uses = [0] * len(COLOURS)
    picked: dict[str, str] = {}
    for key in in_order(architectures):
        first = FIRST_PICK.get(key, zlib.crc32(key.encode()) % len(COLOURS))
        order = [(first + shift) % len(COLOURS) for shift in range(len(COLOURS))]
        index = min(order, key=uses.__getitem__)
        picked[key] = shade(COLOURS[index], uses[index])
        uses[index] += 1
    return picked


def shade(colour: str, place: int) -> str:
    """Vary a colour for the second, third ... run of one architecture: lighter, then darker."""
    target, part = ((255, 0.0), (255, 0.45), (0, 0.35))[place % 3]
    mixed = (round(channel * 255 * (1 - part) + target * part) for channel in _channels(colour))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def contrast(colour: str, background: str) -> float:
    """Measure the contrast of two colours by WCAG 2 (1 to 21)."""
    lighter, darker = sorted((_luminance(colour), _luminance(background)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in _channels(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> list[float]:
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
