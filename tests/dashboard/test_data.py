"""The Data page: data sets are added, opened and looked at; what is wrong is one sentence."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.data.classes import find_classes
from dashboard.data.data_sets import DataSet, count
from dashboard.data.folders import VARIABLE, add_folder, read_folders
from dashboard.data.hierarchy import walk
from dashboard.data.meanings import Meaning, class_label, meanings
from datamodules import sources
from datamodules.ilsvrc2012.devkit import Devkit, Synset, write_devkit
from datamodules.reports import CheckReport, Finding, SplitSummary, write_report
from jobs import data_jobs
from tracking.store import Store

OpenPage = Callable[..., AppTest]
CLASSES = ("n01440764", "n02102040", "n03000684")


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes of ImageNet: 4, 5 and 6 images to train on, 2 each to validate; one cannot be read."""
    root = tmp_path / "images"
    for split in ("train", "val"):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for number in range(4 + label if split == "train" else 2):
                pixels = np.full((40, 60, 3), 40 * number, dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{name}_{number}.JPEG")
    (root / "val" / CLASSES[0] / f"{CLASSES[0]}_0.JPEG").write_bytes(b"<html>404</html>")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return root


@pytest.fixture
def added(images: Path, empty_store: Store) -> str:
    return add_folder(empty_store, "folder", str(images)).key


def problems(app: AppTest) -> list[str]:
    marker = ":red[:material/error: "
    return [one.value.removeprefix(marker)[:-1] for one in app.markdown if one.value.startswith(marker)]


def press(app: AppTest, label: str) -> AppTest:
    return next(one for one in app.button if one.label.replace("\\", "") == label).click().run()


@pytest.mark.parametrize("key", sources.available())
def test_every_source_has_a_card(key: str, empty_store: Store, open_page: OpenPage) -> None:
    source = sources.get(key)
    app = press(open_page("data"), source.title)
    assert not app.exception and problems(app) == []
    if source.needs_root:
        assert app.title[0].value == "Data" and app.session_state["kind"] == key
    else:
        assert app.title[0].value == source.title


def test_a_folder_is_added_and_opens(images: Path, empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("data", folder=str(images))
    press(app, "Add")
    assert not app.exception and not app.error and problems(app) == []
    assert [one.root for one in read_folders(empty_store)] == [str(images)]
    assert app.title[0].value == "images" and app.query_params["set"] == f"folder:{images}"
    assert [one.value for one in app.metric] == ["3", "15", "6", "4 to 6"]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [("", "Name a folder"), ("/etc", "not in a place"), ("{root}/train", "There is no folder")],
)
def test_a_folder_that_is_refused_says_why_and_stays_typed(
    typed: str, problem: str, images: Path, empty_store: Store, open_page: OpenPage
) -> None:
    app = open_page("data", folder=typed.format(root=images))
    press(app, "Add")
    assert not app.exception and len(problems(app)) == 1 and problem in problems(app)[0]
    assert read_folders(empty_store) == []
    assert app.text_input(key="folder").value == typed.format(root=images)


def test_classes_with_meaning_and_counts(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added)
    table = app.dataframe[0].value
    assert list(table["Class"]) == list(CLASSES) and list(table["Train"]) == [4, 5, 6]
    assert table["Meaning"][0] == "tench, Tinca tinca"
    assert "freshwater" in table["Definition"][0]
    app.text_input(key="find").set_value("chain SAW").run()
    assert list(app.dataframe[0].value["Class"]) == ["n03000684"]
    app.text_input(key="find").set_value("no such thing").run()
    assert not app.dataframe and "No class fits." in "".join(one.value for one in app.caption)


def test_a_class_that_is_no_synset_has_no_meaning() -> None:
    found = meanings(["cat", "n99999999", "n01440764"])
    assert found[:2] == [Meaning(), Meaning()] and found[2].words
    assert [class_label("cat", found[0]), class_label("n01440764", found[2])] == ["cat", "tench"]
    assert find_classes(["cat", "n01440764"], [found[0], found[2]], "") == [0, 1]


@pytest.mark.parametrize("source", [one.key for one in sources.available().values() if not one.needs_root])
def test_what_needs_no_folder_is_counted(source: str) -> None:
    numbers = count(DataSet(sources.get(source)))
    images = sources.get(source).open(None)
    assert (numbers.train.sum(), numbers.val.sum()) == (len(images.train), len(images.val))
    assert numbers.class_names == images.class_names


def test_images_of_all_classes_and_of_one(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="Images")
    shown = [one.value for one in app.markdown if "<img" in one.value]
    assert len(shown) == 2 and all("data:image/" in one for one in shown)
    # The one that cannot be read is there by its name.
    assert any("n01440764_0.JPEG" in one.value.replace("\\", "") for one in app.caption)
    app.selectbox(key="label").select(2).run()
    assert len([one for one in app.markdown if "<img" in one.value]) == 2
    assert app.query_params["label"] == "2"
    assert not app.exception


def test_an_image_opens_as_the_network_sees_it(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="Images", label="1")
    press(app, "n02102040_0.JPEG")
    assert not app.exception and problems(app) == []
    strips = [one.body for one in app.get("html") if 'class="sight"' in one.body]
    assert len(strips) > 5 and all("<img" in one for one in strips)
    press(app, "Roll again")
    again = [one.body for one in app.get("html") if 'class="sight"' in one.body]
    assert again[0] == strips[0], "nothing is left to chance in validation"
    assert app.query_params["roll"] == "1"


def test_an_image_that_cannot_be_read_is_named(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="What the network sees", image="0")
    assert not app.exception and len(problems(app)) == 1 and "n01440764" in problems(app)[0]


def test_a_folder_that_is_gone_is_one_sentence(added: str, images: Path, open_page: OpenPage) -> None:
    images.rename(images.with_name("elsewhere"))
    assert "is not there" in "".join(one.value for one in open_page("data").markdown)
    app = open_page("data", set=added)
    assert not app.exception and len(problems(app)) == 1 and "There is no folder" in problems(app)[0]


def test_a_folder_that_is_no_longer_allowed_stays_closed(
    added: str,
    images: Path,
    tmp_path: Path,
    empty_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    open_page: OpenPage,
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    for section in ("Classes", "Images", "What the network sees"):
        app = open_page("data", set=added, section=section)
        assert len(problems(app)) == 1 and "not in a place" in problems(app)[0]
    # A folder that has become a link to somewhere else.
    (tmp_path / "other" / "images").symlink_to(images)
    key = add_folder(empty_store, "folder", str(tmp_path / "other" / "images")).key
    assert "not in a place" in problems(open_page("data", set=key))[0]


def test_only_what_was_added_can_be_opened(images: Path, empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("data", set=f"folder:{images}")
    assert app.title[0].value == "Data"


def test_a_folder_leaves_the_list_and_stays_where_it_is(
    added: str, images: Path, empty_store: Store, open_page: OpenPage
) -> None:
    app = press(open_page("data", set=added), "Remove from the list")
    assert not app.exception and app.title[0].value == "Data"
    assert read_folders(empty_store) == [] and (images / "train").is_dir()


def test_a_folder_that_was_added_is_offered_for_training(
    added: str, images: Path, open_page: OpenPage
) -> None:
    app = press(open_page("data", set=added), "Train on it")
    assert not app.exception and app.title[0].value == "Launch"
    assert app.text_input(key="root").value == str(images)
    app = open_page("launch", source="folder")
    assert app.text_input(key="root").value == ""
    assert press(app, "images").text_input(key="root").value == str(images)


def test_preparing_from_archives_becomes_a_command(
    images: Path, empty_store: Store, open_page: OpenPage
) -> None:
    target = images.with_name("imagenet")
    app = open_page("data", kind="imagenet", way="archives", archives=str(images), folder=str(target))
    words = ["prepare", "imagenet", "--archives", str(images), "--root", str(target)]
    assert app.code[0].value == data_jobs.command_line(words)
    press(app, "Prepare")
    state = wait_for_end(empty_store)
    assert list(state.job.words) == words
    # None of the archives is there.
    assert state.status == "FAILED" and "ILSVRC2012" in state.message
    app = open_page("data")
    assert any(state.message in one.value.replace("\\", "") for one in app.markdown)
    # Where it will be can be chosen at once; until then its page says what is missing.
    assert [one.key for one in read_folders(empty_store)] == [f"imagenet:{target}"]
    assert len(problems(open_page("data", set=f"imagenet:{target}"))) == 1


def wait_for_end(store: Store) -> data_jobs.JobState:
    deadline = time.monotonic() + 120
    while (state := data_jobs.list_jobs(store)[0]).is_active and time.monotonic() < deadline:
        time.sleep(0.1)
    return state


@pytest.mark.parametrize("form", ["jpeg", "raw", "litdata"])
def test_what_is_packed_can_be_opened(
    form: str, added: str, images: Path, empty_store: Store, open_page: OpenPage
) -> None:
    target = images.with_name("smaller")
    app = open_page("data", set=added, section="Pack", form=form)
    assert next(one for one in app.button if one.label == "Write it").disabled
    app.text_input(key="target").set_value(str(target)).run()
    shown = app.code[0].value
    press(app, "Write it")
    state = wait_for_end(empty_store)
    assert state.status == "FINISHED", state.message
    assert state.job.command == shown
    key = f"{'litdata' if form == 'litdata' else 'packed'}:{target}"
    app = open_page("data", set=key)
    assert problems(app) == [] and list(app.dataframe[0].value["Class"]) == list(CLASSES)
    app = open_page("data", set=key, section="Images", label="1")
    assert len([one for one in app.markdown if "<img" in one.value]) == 2


def test_a_pack_must_go_where_data_may(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="Pack", target="/etc/pack")
    assert len(problems(app)) == 1 and "not in a place" in problems(app)[0]
    assert next(one for one in app.button if one.label == "Write it").disabled


@pytest.mark.parametrize("query", [{"archives": "/etc"}, {"folder": "/etc/images"}])
def test_archives_must_lie_where_data_may(
    query: dict[str, str], images: Path, empty_store: Store, open_page: OpenPage
) -> None:
    places = {"archives": str(images), "folder": str(images.with_name("imagenet")), **query}
    app = open_page("data", kind="imagenet", way="archives", **places)
    assert len(problems(app)) == 1 and "not in a place" in problems(app)[0]
    assert next(one for one in app.button if one.label == "Prepare").disabled


def summary(num_images: int) -> SplitSummary:
    formats, modes = {"PNG": 1, "JPEG": num_images - 1}, {"RGB": num_images}
    return SplitSummary(
        num_images, 1, 2**21, (4, 5, 6), formats, modes, (60,) * 7, (20, 30, 40, 50, 60, 70, 80)
    )


def test_the_report_of_a_check_is_shown(added: str, images: Path, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="Check")
    assert "Nobody has checked" in "".join(one.value for one in app.markdown)
    findings = (
        Finding("empty", "error", "2 files hold nothing.", 2, ("train/a.JPEG", "train/b\\n.JPEG")),
        Finding("format", "note", "300 files are PNG.", 300, ("val/c.JPEG",)),
    )
    mean, std = (0.48, 0.45, 0.4), (0.27, 0.26, 0.28)
    report = CheckReport(
        *("folder", str(images), CLASSES, "a" * 64, "b" * 64, summary(15), summary(6), mean, std),
        findings=findings,
        checked_at=time.time() - 90,
        duration_s=3.0,
    )
    write_report(report)
    app = open_page("data", set=added, section="Check")
    values = {one.label: one.value for one in app.metric}
    assert (
        values["Images"] == "21" and values["Unreadable"] == "2" and values["Mean"] == "0.480 · 0.450 · 0.400"
    )
    assert [one.label.rpartition("×** ")[2] for one in app.expander] == [one.text for one in findings]
    assert app.expander[0].code[0].value == "train/a.JPEG\ntrain/b\\n.JPEG"
    assert "first 1 of 300" in app.expander[1].caption[0].value
    assert app.table[0].value["Training"].tolist()[3] == "JPEG 14 · PNG 1"
    assert any("checked 1 min ago: 1 error" in one.value for one in open_page("data").markdown)


def test_a_check_is_started_and_its_report_is_kept(
    added: str, empty_store: Store, open_page: OpenPage
) -> None:
    app = press(open_page("data", set=added, section="Check"), "Check all images")
    state = wait_for_end(empty_store)
    assert state.status == "FINISHED" and "21 images checked" in state.message
    app = open_page("data", set=added, section="Check")
    assert {one.label: one.value for one in app.metric}["Unreadable"] == "1"
    assert any("n01440764_0.JPEG" in one.value for one in app.code)
    assert "Check again" in [one.label for one in app.button]


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


@pytest.mark.parametrize(("num_classes", "is_balanced"), [(3, False), (3, True), (100, False)])
def test_the_distribution_is_drawn_unless_all_are_equal(num_classes: int, is_balanced: bool) -> None:
    app = AppTest.from_function(show_counts, kwargs={"num_classes": num_classes, "is_balanced": is_balanced})
    app.run()
    assert not app.exception
    assert bool(app.get("plotly_chart")) != is_balanced
    said = "".join(one.value for one in app.markdown)
    assert ("Every class has 1 image to train on" in said) == is_balanced


def show_counts(num_classes: int, is_balanced: bool) -> None:
    import numpy as np

    from dashboard.data.classes import show_distribution
    from dashboard.data.data_sets import Numbers
    from dashboard.data.meanings import meanings

    names = tuple(str(label) for label in range(num_classes))
    train = np.ones(num_classes, np.int64) if is_balanced else np.arange(1, num_classes + 1)
    show_distribution(Numbers(names, train, np.ones(num_classes, np.int64)), meanings(names))
