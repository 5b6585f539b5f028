"""Colours can be told apart and read on both backgrounds."""

import tomllib
from pathlib import Path

import pytest

from dashboard.networks import catalogue
from dashboard.widgets import palette

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"
THEME = tomllib.loads(CONFIG.read_text("utf-8"))["theme"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("colour", palette.COLOURS)
def test_curves_have_contrast(colour: str, theme: str) -> None:
    assert palette.contrast(colour, THEME[theme]["backgroundColor"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_links_have_contrast(theme: str) -> None:
    colours = THEME[theme]
    for text in ("textColor", "grayTextColor", "linkColor", "primaryColor"):
        for background in ("backgroundColor", "secondaryBackgroundColor"):
            assert palette.contrast(colours[text], colours[background]) >= 4.5, (text, background)


def test_contrast_is_that_of_wcag() -> None:
    assert palette.contrast("#ffffff", "#000000") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_well_known_differ_and_keep_their_colour() -> None:
    together = palette.pick_colours(catalogue.architectures())
    assert len({together[key] for key in palette.FIRST_PICK}) == len(palette.FIRST_PICK)
    for key in palette.FIRST_PICK:
        assert palette.pick_colours([key])[key] == together[key]


@pytest.mark.parametrize("count", [9, 27])
def test_networks_differ_while_there_are_shades(count: int) -> None:
    keys = list(catalogue.architectures())[:count]
    assert len(set(palette.pick_colours(keys).values())) == count


def test_the_order_of_a_choice_does_not_change_its_colours() -> None:
    keys = list(catalogue.architectures())
    assert palette.pick_colours(keys) == palette.pick_colours(reversed(keys))


def test_more_networks_than_shades_still_get_a_colour() -> None:
    keys = [f"network{number}" for number in range(60)]
    assert set(palette.pick_colours(keys)) == set(keys)


def test_runs_of_one_network_differ() -> None:
    shades = {palette.shade(colour, place) for colour in palette.COLOURS for place in range(3)}
    assert len(shades) == 3 * len(palette.COLOURS)
