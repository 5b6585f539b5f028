"""One colour for all networks of a family."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dashboard.widgets import palette

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture


def family_colours(architectures: "Mapping[str, Architecture]") -> dict[str, str]:
    """Return each family the colour of its best known network, no two alike while there are enough."""
    first: dict[str, str] = {}
    for key in palette.in_order(architectures):
        first.setdefault(architectures[key].family, key)
    colours = palette.pick_colours(first.values())
    return {family: colours[key] for family, key in first.items()}


def network_colours(architectures: "Mapping[str, Architecture]") -> dict[str, str]:
    """Return each network the colour of its family."""
    colours = family_colours(architectures)
    return {key: colours[one.family] for key, one in architectures.items()}
