"""The Architectures page's frame: its sections, and which of them is shown."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.architectures import gallery
from dashboard.launch.fields import option_fields
from dashboard.networks import catalogue
from dashboard.widgets.address import Field, between, keep, one_of, restore

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture

SIZES = (8, 1024)
CLASSES = (2, 100_000)

Fields = Mapping[str, Field]


def choose_section() -> str:
    """Ask what to look at; the answer is part of the address."""
    section = st.segmented_control(
        "Section", list(SECTIONS), required=True, key="section", label_visibility="collapsed", wrap=True
    )
    return section or GALLERY


def show_section(section: str) -> None:
    """Show a section of the page and keep in the address what was chosen in it."""
    SECTIONS[section](network_fields(catalogue.architectures()))


def restore_fields() -> str | None:
    """Return the page's fields their values; return the key of the network that is open, if one is."""
    fields = network_fields(catalogue.architectures())
    restore(fields)
    key: str | None = st.session_state["network"]
    return key


def network_fields(architectures: "Mapping[str, Architecture]") -> dict[str, Field]:
    """Name the fields of the page's frame, of the gallery and of an open network."""
    return {
        "section": Field(GALLERY, one_of(SECTIONS)),
        "network": Field(None, one_of(architectures)),
        **gallery.gallery_fields(architectures),
        "size": Field(None, between(*SIZES)),
        "classes": Field(None, between(*CLASSES)),
        **option_fields(architectures),
    }


def _show_gallery(fields: Fields) -> None:
    found = gallery.choose(catalogue.architectures())
    keep(fields)
    gallery.show_cards(found)


def _show_table(fields: Fields) -> None:
    found = gallery.choose(catalogue.architectures())
    keep(fields)
    if found:
        gallery.show_table(found)


def _show_side_by_side(fields: Fields) -> None:
    from dashboard.architectures.side_by_side import show_side_by_side

    show_side_by_side(fields)


def _show_error_figure(fields: Fields) -> None:
    from dashboard.architectures.error_figure import show_error_figure

    show_error_figure(fields)


def _show_memory(fields: Fields) -> None:
    from dashboard.launch.memory_estimate import show_memory_section

    show_memory_section(fields)


def _show_claims(fields: Fields) -> None:
    from dashboard.architectures.claims import show_claims

    keep(fields)
    show_claims()


def _show_history(fields: Fields) -> None:
    from dashboard.architectures.history import show_history

    keep(fields)
    show_history()


GALLERY = "Gallery"
# Each imports what it needs when it is chosen: the first view of the page waits for none of the others.
SECTIONS: Mapping[str, Callable[[Fields], None]] = {
    GALLERY: _show_gallery,
    "Table": _show_table,
    "Side by side": _show_side_by_side,
    "Error and cost": _show_error_figure,
    "Memory": _show_memory,
    "Claims": _show_claims,
    "History": _show_history,
}
