"""A data set's classes: what they mean, and how many images each has."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard.data import fields
from dashboard.data.data_sets import DataSet, Labels, Numbers, count, describe, open_images
from dashboard.data.meanings import Meaning, class_label, meanings
from dashboard.known_folders import add_folder
from dashboard.widgets import charts, formatting
from dashboard.widgets.palette import COLOURS
from dashboard.workplace import open_store

TABLE = "classes"
LONG_TABLE, MAX_HEIGHT = 15, 560
MOST_BARS = 60


def show_classes(data_set: DataSet) -> None:
    """Show the table of classes and the distribution of their images.

    Raises:
        DataError: the data set cannot be opened.
    """
    numbers = count(data_set)
    if data_set.root:
        text = describe(open_images(data_set))
        add_folder(open_store(), data_set.source.key, data_set.root, text)
    words = meanings(numbers.class_names)
    _show_figures(numbers)
    find = st.text_input(
        "Search",
        placeholder="Name, meaning or number",
        key="find",
        icon=":material/search:",
        max_chars=200,
        width=320,
    )
    found = find_classes(numbers.class_names, words, find)
    if found:
        _show_table(numbers, words, found)
    else:
        st.caption("No class matches. Use fewer words.")
    st.subheader("Images of each class", anchor=False)
    show_distribution(numbers, words)


def find_classes(names: Sequence[str], words: Sequence[Meaning], find: str) -> list[int]:
    """Find the labels of the classes that have every word of a search in name, meaning or number."""
    wanted = find.lower().split()
    texts = (
        f"{label} {name} {meaning.words} {meaning.gloss}".lower()
        for label, (name, meaning) in enumerate(zip(names, words, strict=True))
    )
    return [label for label, text in enumerate(texts) if all(word in text for word in wanted)]


def _show_figures(numbers: Numbers) -> None:
    figures = {
        "Classes": f"{len(numbers.class_names):,}",
        "Training images": f"{numbers.train.sum():,}",
        "To validate on": f"{numbers.val.sum():,}",
        "In each class": _range(numbers.train),
    }
    with st.container(horizontal=True, gap="medium", key="figures"):
        for label, value in figures.items():
            st.metric(label, value, width=150)


def _range(counts: Labels) -> str:
    lowest, highest = int(counts.min()), int(counts.max())
    return f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"


def _show_table(numbers: Numbers, words: Sequence[Meaning], found: Sequence[int]) -> None:
    columns = {
        "Label": list(found),
        "Class": [numbers.class_names[label] for label in found],
        "Meaning": [words[label].words for label in found],
        "Definition": [words[label].gloss for label in found],
        "Train": numbers.train[found],
        "Val": numbers.val[found],
    }
    has_meanings = any(meaning.words for meaning in words)
    if not has_meanings:
        columns = {name: values for name, values in columns.items() if name not in ("Meaning", "Definition")}
    chosen = st.dataframe(
        columns,
        hide_index=True,
        height="content" if len(found) <= LONG_TABLE else MAX_HEIGHT,
        column_config={
            "Label": st.column_config.NumberColumn(width=60, format="%d"),
            "Class": st.column_config.TextColumn(width=110 if has_meanings else "large"),
            "Definition": st.column_config.TextColumn(width="large"),
            "Train": st.column_config.NumberColumn(width=80, format="localized"),
            "Val": st.column_config.NumberColumn(width=80, format="localized"),
        },
        on_select="rerun",
        selection_mode="single-row",
        key=TABLE,
        alt="The classes with their meanings and counts of images",
    )
    rows = chosen["selection"]["rows"]
    label = found[rows[0]] if rows and rows[0] < len(found) else fields.ALL
    name = "each class" if label == fields.ALL else class_label(numbers.class_names[label], words[label])
    st.button(
        f"See images of {formatting.plain(name)}",
        icon=":material/photo_library:",
        on_click=fields.see_class,
        args=(label,),
    )


def show_distribution(numbers: Numbers, words: Sequence[Meaning]) -> None:
    """Draw the counts from the largest class to the smallest, or say that all are equal."""
    if numbers.train.min() == numbers.train.max() and numbers.val.min() == numbers.val.max():
        images = formatting.plural(int(numbers.train[0]), "image")
        st.markdown(f"Every class has {images} to train on and {numbers.val[0]:,} to validate on.")
        return
    order = np.argsort(-numbers.train, kind="stable")
    names = [
        f"{numbers.class_names[label]} {formatting.plain(words[label].words[:40])}".strip() for label in order
    ]
    splits = (("to train on", numbers.train, COLOURS[1]), ("to validate on", numbers.val, COLOURS[0]))
    traces = [_counts(name, counts[order], names, colour) for name, counts, colour in splits]
    figure = charts.build_figure(
        traces, "Classes, the largest first", "Images", 300, {}, {"rangemode": "tozero"}, bargap=0.15
    )
    st.plotly_chart(
        figure, key="distribution", config=dict(charts.CONFIG), alt="Images of each class, the largest first"
    )


def _counts(name: str, counts: Labels, names: Sequence[str], colour: str) -> charts.Trace:
    """Draw counts as bars or, where those would be too thin, as steps."""
    common = {
        "x": np.arange(1, len(counts) + 1),
        "y": counts,
        "name": name,
        "customdata": names,
        "hovertemplate": "%{customdata}<br><b>%{y:,}</b> " + name + "<extra></extra>",
    }
    if len(counts) <= MOST_BARS:
        return common | {"type": "bar", "marker": {"color": colour, "line": {"width": 0}}}
    line = {"color": colour, "width": 2, "shape": "hvh"}
    return common | {"type": "scatter", "mode": "lines", "line": line, "fill": "tozeroy"}
