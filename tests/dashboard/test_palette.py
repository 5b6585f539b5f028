"""Colours can be told apart and read on both backgrounds."""

import tomllib
from pathlib import Path

import pytest

from dashboard import catalogue, palette

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"
THEME = tomllib.loads(CONFIG.read_text("utf-8"))["theme"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("colour", palette.COLOURS)
def test_curves_have_contrast(colour: str, theme: str) -> None:
    assert palette.contrast(colour, THEME[theme]["backgroundColor"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_links_have_contrast(theme: str) -> None:
    colours = THEME[theme]
    for text in ("textColor", "linkColor", "primaryColor"):
        for background in ("backgroundColor", "secondaryBackgroundColor"):
            assert palette.contrast(colours[text], colours[background]) >= 4.5, (text, background)


def test_contrast_is_that_of_wcag() -> None:
    assert palette.contrast("#ffffff", "#000000") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_networks_differ_and_keep_their_colour() -> None:
    keys = list(catalogue.architectures())
    together = palette.pick_colours(keys)
    assert len(set(together.values())) == len(keys)
    for key in palette.FIRST_PICK:
        assert palette.pick_colours([key])[key] == together[key]


def test_more_networks_than_colours_still_get_one() -> None:
    keys = [f"network{number}" for number in range(20)]
    assert set(palette.pick_colours(keys)) == set(keys)


def test_runs_of_one_network_differ() -> None:
    shades = {palette.shade(colour, place) for colour in palette.COLOURS for place in range(3)}
    assert len(shades) == 3 * len(palette.COLOURS)
