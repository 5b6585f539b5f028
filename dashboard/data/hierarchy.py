"""WordNet above the classes of ImageNet, as the challenge's devkit has it: a sunburst one can walk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard.data.data_sets import DataSet
from dashboard.widgets import charts
from dashboard.widgets.charts import Trace
from dashboard.widgets.palette import COLOURS

if TYPE_CHECKING:
    from datamodules.ilsvrc2012.devkit import Synset

# Rings drawn at a time: a click on a part draws those below it.
RINGS = 4
HEIGHT = 680
LARGEST_DEFINITION = 90


@dataclass(frozen=True)
class Node:
    """A place in the hierarchy; a synset with two parents has two.

    Attributes:
        key: The numbers of the synsets on the way to it.
        parent: Key of the one above, empty for the top.
        synset: What is there.
        num_classes: Classes at or below it.
        branch: Which of the parts right below the top it belongs to, for its colour.
    """

    key: str
    parent: str
    synset: "Synset"
    num_classes: int
    branch: int


def show_hierarchy(data_set: DataSet) -> None:
    """Show the hierarchy, or how to get it. Raises DataError when what is kept of the devkit is damaged."""
    from datamodules.ilsvrc2012.devkit import read_devkit

    devkit = read_devkit(data_set.path) if data_set.path else None
    if devkit is None:
        st.markdown(
            "WordNet's hierarchy above the classes comes with the devkit of the challenge of 2012. "
            "`python -m datamodules prepare imagenet` keeps it beside the images as `devkit.json`."
        )
        return
    nodes = {node.key: node for node in walk(devkit.synsets)}
    inner = len(devkit.synsets) - len(devkit.classes)
    if st.session_state["term"] not in nodes:
        st.session_state["term"] = next(iter(nodes))
    key = st.selectbox(
        "Go to",
        list(nodes),
        format_func=lambda key: _label(nodes[key]),
        key="term",
        help="Enter a word. In the figure, click a part to open it and the middle to go back.",
        width=420,
    )
    st.caption(f"{len(devkit.classes):,} classes below {inner:,} more general terms. {_path(nodes, key)}")
    figure = charts.build_figure(
        [_sunburst(list(nodes.values()), key)], "", "", HEIGHT, {"visible": False}, {"visible": False}
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0}, uirevision=key)
    what = "The classes in WordNet's hierarchy"
    st.plotly_chart(figure, key="hierarchy", config=dict(charts.CONFIG), alt=what)


def _label(node: Node) -> str:
    return node.synset.words[0] + (f" · {node.num_classes:,} classes" if node.synset.children else "")


def _path(nodes: Mapping[str, Node], key: str) -> str:
    """Name what lies above a place, and say what it means."""
    words = []
    while key:
        words.append(nodes[key].synset.words[0])
        key = nodes[key].parent
    return " › ".join(reversed(words))  # noqa: RUF001 - the usual sign between steps of a path


def walk(synsets: "Mapping[int, Synset]") -> list[Node]:
    """List every place of the hierarchy from the top down."""
    below = {child for synset in synsets.values() for child in synset.children}
    tops = [number for number, synset in synsets.items() if number not in below and synset.children]
    nodes: list[Node] = []

    def visit(number: int, parent: str, branch: int, above: tuple[int, ...]) -> int:
        synset = synsets[number]
        key = f"{parent}/{number}"
        place = len(nodes)
        nodes.append(Node(key, parent, synset, 1, branch))
        children = [child for child in synset.children if child in synsets and child not in above]
        if children:
            counts = [
                visit(child, key, branch if above else order, (*above, number))
                for order, child in enumerate(children)
            ]
            nodes[place] = Node(key, parent, synset, sum(counts), branch)
        return nodes[place].num_classes

    for top in tops:
        visit(top, "", 0, ())
    return nodes


def _sunburst(nodes: Sequence[Node], level: str) -> Trace:
    return {
        "type": "sunburst",
        "ids": [node.key for node in nodes],
        "parents": [node.parent for node in nodes],
        "labels": [node.synset.words[0] for node in nodes],
        "values": np.array([node.num_classes for node in nodes]),
        "customdata": [_hover(node) for node in nodes],
        "level": level,
        "marker": {"colors": [_colour(node) for node in nodes], "line": {"width": 0.5}},
        "branchvalues": "total",
        "maxdepth": RINGS,
        "insidetextorientation": "radial",
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _colour(node: Node) -> str:
    return COLOURS[node.branch % len(COLOURS)] if node.parent else "rgba(0, 0, 0, 0)"


def _hover(node: Node) -> str:
    words, gloss = ", ".join(node.synset.words[:3]), node.synset.gloss
    short = gloss if len(gloss) <= LARGEST_DEFINITION else f"{gloss[:LARGEST_DEFINITION]} …"
    classes = node.synset.wnid if not node.synset.children else f"{node.num_classes:,} classes"
    return f"<b>{words}</b><br>{short}<br>{classes}"
