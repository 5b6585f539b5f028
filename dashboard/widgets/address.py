"""Fields whose values live in the page's address: they survive a reload, and the address can be shared.

Streamlit's own `bind="query-params"` writes labels instead of keys into the address and lets an earlier visit
win over it. Here the address always wins on arrival; without one, a page looks as it was left.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

PAGE = "page"
VISIT = "visit"
SAVED = "saved_fields"
YES = "yes"


@dataclass(frozen=True)
class Field:
    """One field of a page.

    Attributes:
        default: its value where neither the address nor an earlier visit says otherwise.
        parse: reads one value from the address; a ValueError means the default.
        many: whether it holds a list of values.
        always: whether the address names it even at its default, because that may be another one tomorrow.
    """

    default: Any
    parse: Callable[[str], Any] = str
    many: bool = False
    always: bool = False


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


def is_yes(text: str) -> bool:
    """Read a switch."""
    return text == YES


def arrive(page: str) -> None:
    """Note on every run which page it is for, so that `restore` knows when the page has just been opened.

    The browser's Back within one page is an arrival too: it brings an earlier address.
    """
    if st.session_state.get(PAGE) != page or getattr(get_script_run_ctx(), "is_history_navigation", False):
        st.session_state[VISIT] = {}
    st.session_state[PAGE] = page


def visit() -> dict[str, Any]:
    """Return what is remembered until the page is left."""
    notes: dict[str, Any] = st.session_state.setdefault(VISIT, {})
    return notes


def restore(fields: Mapping[str, Field]) -> None:
    """Return the fields their values before their widgets are made; keys of fields are keys of widgets.

    An address that says anything speaks for all fields of the page.
    """
    saved = _saved()
    restored: set[str] = visit().setdefault("restored", set())
    is_given = bool(list(st.query_params))
    for key, field in fields.items():
        if key in restored and key in st.session_state:
            value = st.session_state[key]
        elif key not in restored and is_given:
            value = read(field, st.query_params.get_all(key) if key in st.query_params else None)
        else:
            # Left earlier, or hidden for a while: Streamlit forgets the values of hidden widgets.
            value = saved.get(key, field.default)
        value = _possible(field, value)
        if key not in st.session_state or st.session_state[key] != value:
            st.session_state[key] = value
        # Noted here and not at the end: a run can be interrupted half way by the next one.
        restored.add(key)


def keep(fields: Mapping[str, Field]) -> None:
    """Write what the fields hold into the address, after their widgets were made."""
    saved = _saved()
    values = {key: st.session_state[key] for key in fields if key in st.session_state}
    changed = {key: value for key, value in values.items() if value != fields[key].default}
    for key in values:
        saved.pop(key, None)
    saved.update(changed)
    wanted = {key: write(value) for key, value in values.items() if key in changed or fields[key].always}
    current = {key: st.query_params.get_all(key) for key in st.query_params}
    if wanted != current:
        st.query_params.from_dict(wanted)


def show_address(**params: str) -> None:
    """Put an address into the browser that a link within the page led to: Streamlit itself does not."""
    st.query_params.from_dict(params)


def read(field: Field, texts: list[str] | None) -> Any:
    """Read a field's value from the address."""
    if texts is None:
        return field.default
    values = []
    for text in dict.fromkeys(filter(None, texts)):
        try:
            values.append(field.parse(text))
        except ValueError:
            if not field.many:
                return field.default
    return values if field.many else values[0] if values else field.default


def write(value: Any) -> list[str]:
    """Write a field's value as it stands in the address."""
    values = value if isinstance(value, list) else [YES if value is True else value]
    return [str(one) for one in values if one is not None] or [""]


def _saved() -> dict[str, Any]:
    pages: dict[str, dict[str, Any]] = st.session_state.setdefault(SAVED, {})
    return pages.setdefault(str(st.session_state.get(PAGE)), {})


def _possible(field: Field, value: Any) -> Any:
    """Leave out what was possible once, such as a run that was deleted since."""
    if field.many:
        return read(field, write(value))
    return value if value in (None, field.default, "", True) else read(field, write(value))
