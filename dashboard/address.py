"""Fields whose values live in the page's address: they survive a reload, and the address can be shared.

Streamlit's own `bind="query-params"` writes labels instead of keys into the address and lets an earlier visit
win over it. Here the address always wins on arrival; without one, a page looks as it was left.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

PAGE = "page"
ARRIVED = "has_arrived"


@dataclass(frozen=True)
class Field:
    """One field of a page.

    Attributes:
        default: its value where neither the address nor an earlier visit says otherwise.
        parse: reads one value from the address; a ValueError means the default.
        many: whether it holds a list of values.
    """

    default: Any
    parse: Callable[[str], Any] = str
    many: bool = False


def one_of(allowed: Collection[str]) -> Callable[[str], str]:
    """Make a parser that takes only what a choice offers."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is not one of {', '.join(allowed)}.")
        return text

    return parse


def between(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a parser for whole numbers in a range."""

    def parse(text: str) -> int:
        if not lowest <= int(text) <= highest:
            raise ValueError(f"{text} is not from {lowest} to {highest}.")
        return int(text)

    return parse


def arrive(page: str) -> None:
    """Note on every run which page it is for, so that `restore` knows when somebody has just come."""
    st.session_state[ARRIVED] = st.session_state.get(PAGE) != page
    st.session_state[PAGE] = page


def restore(fields: Mapping[str, Field]) -> None:
    """Give the fields their values before their widgets are made; keys of fields are keys of widgets."""
    saved = st.session_state.setdefault("saved_fields", {})
    if st.session_state.get(ARRIVED, True):
        given = {key: st.query_params.get_all(key) for key in fields if key in st.query_params}
        for key, field in fields.items():
            value = saved.get(key, field.default) if not given else read(field, given.get(key))
            saved[key] = st.session_state[key] = value
    for key, field in fields.items():
        # Streamlit forgets the value of a widget that was hidden for a while.
        if key not in st.session_state:
            st.session_state[key] = saved.get(key, field.default)


def keep(fields: Mapping[str, Field]) -> None:
    """Write what the fields hold into the address, after their widgets were made."""
    saved = st.session_state["saved_fields"]
    saved.update({key: st.session_state[key] for key in fields if key in st.session_state})
    wanted = {key: write(saved[key]) for key, field in fields.items() if saved[key] != field.default}
    current = {key: st.query_params.get_all(key) for key in st.query_params}
    if wanted != current:
        st.query_params.from_dict(wanted)


def read(field: Field, texts: list[str] | None) -> Any:
    """Read a field's value from the address."""
    if texts is None:
        return field.default
    values = []
    for text in filter(None, texts):
        try:
            values.append(field.parse(text))
        except ValueError:
            if not field.many:
                return field.default
    return values if field.many else values[0] if values else field.default


def write(value: Any) -> list[str]:
    """Write a field's value as it stands in the address."""
    values = value if isinstance(value, list) else [value]
    return [str(one) for one in values if one is not None] or [""]
