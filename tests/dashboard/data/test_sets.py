"""Data sets are added, opened and looked at; what is wrong is one sentence."""

import os
from pathlib import Path

import pytest

from dashboard.data.data_sets import DataSet, count
from dashboard.known_folders import add_folder, read_folders
from datamodules import sources
from jobs.preflight.allowed_paths import VARIABLE
from tests.dashboard.data.looking import CLASSES, OpenPage, press, problems
from tracking.store import Store


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


@pytest.mark.parametrize("source", [one.key for one in sources.available().values() if not one.needs_root])
def test_what_needs_no_folder_is_counted(source: str) -> None:
    numbers = count(DataSet(sources.get(source)))
    images = sources.get(source).images(None)
    assert (numbers.train.sum(), numbers.val.sum()) == (len(images.train), len(images.val))
    assert numbers.class_names == images.class_names


def test_images_of_all_classes_and_of_one(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="Images")
    shown = [one.value for one in app.markdown if "<img" in one.value]
    assert len(shown) == 2 and all("data:image/" in one for one in shown)
    # The one that cannot be read is there by its name.
    assert any(one.value.replace("\\", "").startswith("n01440764_0.JPEG (") for one in app.caption)
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
    press(app, "Draw again")
    again = [one.body for one in app.get("html") if 'class="sight"' in one.body]
    assert again[0] == strips[0], "nothing is left to chance in validation"
    assert app.query_params["roll"] == "1"


def test_an_image_that_cannot_be_read_is_named(added: str, open_page: OpenPage) -> None:
    app = open_page("data", set=added, section="What the network sees", image="0")
    assert not app.exception and len(problems(app)) == 1 and "n01440764" in problems(app)[0]


@pytest.mark.parametrize("section", ["Classes", "Images", "What the network sees", "Check", "Pack"])
def test_names_may_be_any_bytes(section: str, added: str, images: Path, open_page: OpenPage) -> None:
    odd = os.fsdecode(b"caf\xe9\n<b>")
    for split in ("train", "val"):
        (images / split / CLASSES[0]).rename(images / split / odd)
        for file in (images / split / odd).iterdir():
            file.rename(file.with_name(odd + file.name))
    app = open_page("data", set=added, section=section, split="train", label="0")
    assert not app.exception and not app.error and not problems(app)
    shown = [*(one.value for one in (*app.markdown, *app.get("html"))), *(one.label for one in app.button)]
    # The browser takes nothing but text.
    assert "".join(shown).encode()
    if section == "Classes":
        assert app.dataframe[0].value["Class"].tolist()[0] == r"caf\xe9\n<b>"


def test_a_folder_that_is_gone_is_one_sentence(added: str, images: Path, open_page: OpenPage) -> None:
    open_page("data", set=added)
    images.rename(images.with_name("elsewhere"))
    assert "is not there" in "".join(one.value for one in open_page("data").markdown)
    app = open_page("data", set=added)
    assert not app.exception and len(problems(app)) == 1 and "There is no folder" in problems(app)[0]


def test_a_folder_that_a_command_has_yet_to_make_is_not_missed(
    images: Path, empty_store: Store, open_page: OpenPage
) -> None:
    add_folder(empty_store, "imagenet", str(images.with_name("later")))
    shown = "".join(one.value for one in open_page("data").markdown)
    assert "not opened yet" in shown and "is not there" not in shown


def test_a_folder_that_may_not_be_looked_at_is_one_sentence(
    images: Path, empty_store: Store, open_page: OpenPage
) -> None:
    # What stands for it is no name that a file can have: tests that run as root may look everywhere.
    key = add_folder(empty_store, "folder", str(images / (300 * "x"))).key
    assert not problems(open_page("data"))
    app = open_page("data", set=key)
    assert not app.error and len(problems(app)) == 1 and "File name too long" in problems(app)[0]


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
