"""Images of a data set in a grid: one of each class, or all of one class."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import PurePath

import numpy as np
import streamlit as st

from dashboard.data import fields
from dashboard.data.data_sets import DataSet, Labels, class_names, labels, open_images
from dashboard.data.meanings import class_label, meanings
from dashboard.data.samples import Sample, picture, read_sample
from dashboard.widgets import formatting

PER_SHEET = 24
CARD_WIDTH = 170


def show_images(data_set: DataSet) -> None:
    """Show the grid.

    Raises:
        DataError: the data set cannot be opened.
    """
    names = class_names(open_images(data_set))
    shown = [class_label(name, meaning) for name, meaning in zip(names, meanings(names), strict=True)]
    split, label = _choose(names, shown)
    of_split = labels(data_set, split)
    found = indices_of(of_split, label)
    sheet = _choose_sheet(len(found), "one of each class" if label == fields.ALL else f"of {shown[label]}")
    with st.container(horizontal=True, gap="small", key="sheet-of-images"):
        for index in found[(sheet - 1) * PER_SHEET : sheet * PER_SHEET]:
            _show_card(read_sample(data_set, split, int(index)), int(index), shown[of_split[index]])


def indices_of(part: Labels, label: int) -> Labels:
    """Find the images of a class, or the first image of every class."""
    if label == fields.ALL:
        return np.unique(part, return_index=True)[1]
    return np.flatnonzero(part == label)


def _choose(names: Sequence[str], shown: Sequence[str]) -> tuple[str, int]:
    if st.session_state["label"] >= len(names):
        st.session_state["label"] = fields.ALL
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        split = fields.choose_split(_to_first_sheet)
        label = st.selectbox(
            "Class",
            range(fields.ALL, len(names)),
            format_func=lambda label: _class_text(label, names, shown),
            key="label",
            on_change=_to_first_sheet,
            width=340,
        )
    return split, label


def _class_text(label: int, names: Sequence[str], shown: Sequence[str]) -> str:
    if label == fields.ALL:
        return "One of each class"
    return names[label] if names[label] == shown[label] else f"{shown[label]} · {names[label]}"


def _to_first_sheet() -> None:
    st.session_state["sheet"] = 1


def _choose_sheet(count: int, what: str) -> int:
    sheets = max(1, math.ceil(count / PER_SHEET))
    st.session_state["sheet"] = min(st.session_state["sheet"], sheets)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(f"{formatting.plural(count, 'image')}, {formatting.plain(what)}", width="content")
        if sheets == 1:
            return 1
        sheet = st.number_input("Sheet", 1, sheets, key="sheet", width=130, label_visibility="collapsed")
        st.markdown(f":gray[of {sheets:,} sheets]", width="content")
    return int(sheet)


def _show_card(sample: Sample, index: int, label: str) -> None:
    with st.container(border=True, key=f"card-image-{index}", width=CARD_WIDTH, gap=None):
        if sample.problem:
            st.markdown(
                '<div class="sample"><p class="broken">cannot be read</p></div>', unsafe_allow_html=True
            )
            # Without the folders, which all images have in common.
            begins = max(0, sample.problem.find(PurePath(sample.name).name))
            st.caption(formatting.plain(sample.problem[begins:]))
            return
        st.markdown(
            f'<div class="sample">{picture(sample.address, f"{label}, {sample.name}")}</div>',
            unsafe_allow_html=True,
        )
        st.button(
            formatting.plain(PurePath(sample.name).name),
            key=f"open-image-{index}",
            type="tertiary",
            on_click=fields.see_image,
            args=(index,),
            help="What the network sees",
        )
        st.markdown(
            f'<div class="card"><p>{escape(label)}<br>{sample.width} × {sample.height}</p></div>',
            unsafe_allow_html=True,
        )
