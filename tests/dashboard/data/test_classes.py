"""Classes: what they mean, how many images they have, and what stands above them."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data.classes import find_classes
from dashboard.data.hierarchy import walk
from dashboard.data.meanings import Meaning, class_label, meanings
from datamodules.ilsvrc2012.devkit import Devkit, Synset, write_devkit
from tests.dashboard.data.looking import CLASSES, OpenPage, problems


def test_classes_with_meaning_and_counts(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added)
    table = app.dataframe[0].value
    assert list(table["Class"]) == list(CLASSES) and list(table["Train"]) == [4, 5, 6]
    assert table["Meaning"][0] == "tench, Tinca tinca"
    assert "freshwater" in table["Definition"][0]
    app.text_input(key="find").set_value("chain SAW").run()
    assert list(app.dataframe[0].value["Class"]) == ["n03000684"]
    app.text_input(key="find").set_value("no such thing").run()
    assert not app.dataframe and "No class matches." in "".join(one.value for one in app.caption)


def test_a_class_that_is_no_synset_has_no_meaning() -> None:
    found = meanings(["cat", "n99999999", "n01440764"])
    assert found[:2] == [Meaning(), Meaning()] and found[2].words
    assert [class_label("cat", found[0]), class_label("n01440764", found[2])] == ["cat", "tench"]
    assert find_classes(["cat", "n01440764"], [found[0], found[2]], "") == [0, 1]


@pytest.mark.parametrize(("num_classes", "is_balanced"), [(3, False), (3, True), (100, False)])
def test_the_distribution_is_drawn_unless_all_are_equal(num_classes: int, is_balanced: bool) -> None:
    app = AppTest.from_function(show_counts, kwargs={"num_classes": num_classes, "is_balanced": is_balanced})
    app.run()
    assert not app.exception
    assert bool(app.get("plotly_chart")) != is_balanced
    said = "".join(one.value for one in app.markdown)
    assert ("Every class has 1 image to train on" in said) == is_balanced


def show_counts(num_classes: int, is_balanced: bool) -> None:
    """A page of its own: what it needs, it imports itself."""
    import numpy

    from dashboard.data import classes, data_sets
    from dashboard.data import meanings as wordnet

    names = tuple(str(label) for label in range(num_classes))
    ones = numpy.ones(num_classes, numpy.int64)
    train = ones if is_balanced else numpy.arange(1, num_classes + 1)
    classes.show_distribution(data_sets.Numbers(names, train, ones), wordnet.meanings(names))


def synset(number: int, words: str, children: tuple[int, ...] = ()) -> Synset:
    wnid = CLASSES[number - 1] if number <= 3 else f"n0000000{number}"
    return Synset(number, wnid, tuple(words.split(", ")), f"what is meant by {words}", children, 0)


# As in WordNet, something may lie below two others: here the dog.
SYNSETS = {
    1: synset(1, "tench, Tinca tinca"),
    2: synset(2, "dog"),
    3: synset(3, "chain saw"),
    4: synset(4, "entity", (5, 6, 7)),
    5: synset(5, "animal", (1, 2)),
    6: synset(6, "thing", (3,)),
    7: synset(7, "pet", (2,)),
}


def test_the_hierarchy_counts_what_lies_below() -> None:
    nodes = {node.key: node for node in walk(SYNSETS)}
    assert {key: node.num_classes for key, node in nodes.items()} == {
        **{"/4": 4, "/4/5": 2, "/4/5/1": 1, "/4/5/2": 1},
        **{"/4/6": 1, "/4/6/3": 1, "/4/7": 1, "/4/7/2": 1},
    }
    assert nodes["/4/7/2"].parent == "/4/7" and nodes["/4"].parent == ""


def test_the_hierarchy_is_shown_where_the_devkit_is(added: str, images: Path, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="Hierarchy")
    assert "comes with the devkit" in "".join(one.value for one in app.markdown)
    write_devkit(Devkit(SYNSETS, (1, 2, 3)), images)
    app = open_page("data", set=added, section="Hierarchy")
    assert len(app.get("plotly_chart")) == 1
    app.selectbox(key="term").select("/4/7/2").run()
    assert not app.exception and app.query_params["term"] == "/4/7/2"
    assert any("entity › pet › dog" in one.value for one in app.caption)  # noqa: RUF001
    (images / "devkit.json").write_text("{", encoding="utf-8")
    assert len(problems(open_page("data", set=added, section="Hierarchy"))) == 1
