"""All networks at a glance: cards or a table, narrowed by a search and by families."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.architectures.rows import MEASURED, measured, network_rows
from dashboard.networks import catalogue
from dashboard.widgets import formatting
from dashboard.widgets.address import Field, one_of
from dashboard.widgets.live import live
from dashboard.workplace import open_store
from tracking.comparison import best_per_architecture

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger.table import Ledger

CARD_WIDTH = 206
COUNTING = "counting …"


def gallery_fields(architectures: "Mapping[str, Architecture]") -> dict[str, Field]:
    """Name the fields that narrow the gallery."""
    return {"search": Field(""), "families": Field([], one_of(families(architectures.values())), many=True)}


def families(architectures: "Iterable[Architecture]") -> list[str]:
    """List the families by the year of their first network."""
    return list(dict.fromkeys(one.family for one in architectures))


def find(
    architectures: "Mapping[str, Architecture]", search: str, chosen: Sequence[str]
) -> "list[Architecture]":
    """Find the networks of the chosen families, all without a choice, that have every word of a search.

    Args:
        architectures: all networks.
        search: words of key, name, family, paper, authors, venue or year.
        chosen: families.
    """
    words = search.lower().split()
    found = [
        one
        for one in architectures.values()
        if (not chosen or one.family in chosen) and all(word in _searched(one) for word in words)
    ]
    order = families(architectures.values())
    return sorted(found, key=lambda one: order.index(one.family))


def choose(architectures: "Mapping[str, Architecture]") -> "list[Architecture]":
    """Ask what to look for, and find it."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        search = st.text_input(
            "Search",
            placeholder="Name, paper, author or year",
            key="search",
            icon=":material/search:",
            max_chars=200,
            width=280,
        )
        chosen = st.pills(
            "Families", families(architectures.values()), selection_mode="multi", key="families", wrap=True
        )
    found = find(architectures, search, chosen)
    if not found:
        with st.container(border=True):
            st.markdown("No network matches. Use fewer words, or select more families.")
            st.button("Show all networks", on_click=_show_all, icon=":material/filter_alt_off:")
    return found


def show_cards(found: "Sequence[Architecture]") -> None:
    """Show a card for each network, family by family; those still being measured follow by themselves."""
    _follow(_show_cards, found)


def show_table(found: "Sequence[Architecture]") -> None:
    """Show a row for each network, to be sorted by a click on a heading."""
    _follow(_show_table, found)


def card(architecture: "Architecture", ledger: "Ledger | None", silhouette: str | None) -> str:
    """Write what a card says besides the network's name as HTML."""
    facts = f"{architecture.year} · {formatting.plural(architecture.depth, 'layer')}"
    counts = (
        (COUNTING if silhouette is None else "cannot be counted")
        if ledger is None
        else f"<b>{formatting.short_count(ledger.parameters)}</b> parameters<br>"
        f"<b>{formatting.short_count(ledger.macs)}</b> MACs"
    )
    return (
        f'<div class="card"><p>{escape(facts)}</p><div class="card-drawing">{silhouette or ""}</div>'
        f"<p>{counts}</p><p>{escape(error_text(architecture))}</p></div>"
    )


def error_text(architecture: "Architecture") -> str:
    """Write the reference error of a network in a few words."""
    if architecture.reference is None:
        return "no published error"
    top1, top5 = architecture.reference.top1, architecture.reference.top5
    errors = {"top-1": top1, "top-5": top5}
    return " · ".join(
        f"{name} {formatting.percent(value)}" for name, value in errors.items() if value is not None
    )


def _searched(one: "Architecture") -> str:
    paper = one.paper
    words = (one.key, one.name, one.family, paper.title, paper.authors, paper.venue, str(one.year))
    return " ".join(words).lower()


def _follow(part: "Callable[[Sequence[Architecture]], int]", found: "Sequence[Architecture]") -> None:
    """Show a part again and again while networks are being measured, as an ordinary one afterwards."""
    if waiting := _num_waiting(found):
        live(part, waiting, found)
    else:
        part(found)


def _num_waiting(found: "Sequence[Architecture]") -> int:
    ready = catalogue.silhouettes()
    return sum(one.key not in ready for one in found)


def _show_cards(found: "Sequence[Architecture]") -> int:
    silhouettes = catalogue.silhouettes()
    for family, group in groupby(found, key=lambda one: one.family):
        st.markdown(f"#### {formatting.plain(family)}")
        with st.container(horizontal=True, gap="small", key=f"cards-{family}"):
            for one in group:
                _show_card(one, silhouettes)
    # A click within a live part draws that part alone: the state it gives makes the page follow.
    return _num_waiting(found) if st.session_state["network"] is None else 0


def _show_card(one: "Architecture", silhouettes: Mapping[str, str]) -> None:
    ledger = catalogue.ledger(one.key, None, None, {}) if silhouettes.get(one.key) else None
    with st.container(border=True, key=f"card-{one.key}", width=CARD_WIDTH, gap=None):
        st.button(one.name, key=f"open-{one.key}", type="tertiary", on_click=open_network, args=(one.key,))
        st.markdown(card(one, ledger, silhouettes.get(one.key)), unsafe_allow_html=True)


def open_network(key: str | None) -> None:
    """Open a network's own view, or go back to all of them."""
    st.session_state["network"] = key


def _show_table(found: "Sequence[Architecture]") -> int:
    silhouettes = catalogue.silhouettes()
    ledgers = {
        one.key: catalogue.ledger(one.key, None, None, {}) for one in found if silhouettes.get(one.key)
    }
    error = st.column_config.NumberColumn(format="%.2f %%")
    st.dataframe(
        network_rows(found, ledgers, measured(best_per_architecture(open_store()))),
        hide_index=True,
        column_config={
            "Network": st.column_config.TextColumn(pinned=True),
            "Family": st.column_config.TextColumn(width=105),
            "Year": st.column_config.NumberColumn(format="%d"),
            "Paper": st.column_config.LinkColumn(display_text=r"#(.*)$"),
            # Wide enough for the largest: columns are measured while networks are still being counted.
            "Parameters": st.column_config.NumberColumn(format="localized", width=95),
            "Weights, MB": st.column_config.NumberColumn(format="%.1f", help="In float32"),
            "MACs": st.column_config.NumberColumn(format="localized", width=115),
            "Keras's depth": st.column_config.NumberColumn(
                help="Keras counts other layers too, such as normalisation and activations"
            ),
            MEASURED: st.column_config.TextColumn(
                help="The lowest val error of the runs in this store, with the images it was measured on. "
                "Only a run on ImageNet can be compared with a published error."
            ),
            "Published top-1": error,
            "Published top-5": error,
        },
        height=min(38 + 35 * len(found), 720),
        placeholder=formatting.NOTHING,
        alt="All networks with year, parameters, MACs, errors measured here and published errors",
    )
    return _num_waiting(found)


def _show_all() -> None:
    st.session_state["search"] = ""
    st.session_state["families"] = []
