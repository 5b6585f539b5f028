"""Data at an address: added, opened and looked at without fetching all of it."""

from pathlib import Path

from dashboard.known_folders import read_folders
from datamodules.__main__ import main
from tests.dashboard.data.looking import CLASSES, OpenPage, press, problems
from tests.datamodules.s3_server import Server
from tests.datamodules.test_chunks import write_ourselves
from tracking.store import Store


def test_an_address_is_added_and_opened(
    server: Server, tmp_path: Path, empty_store: Store, open_page: OpenPage
) -> None:
    address = server.put(write_ourselves(tmp_path / "set", count=61), "set")
    app = press(open_page("data", kind="litdata", folder=address), "Add")
    assert not app.exception and problems(app) == []
    assert [(one.root, one.numbers) for one in read_folders(empty_store)] == [
        (address, "3 classes · 61 + 61 images")
    ]
    assert [one.value for one in app.metric][:3] == ["3", "61", "61"]
    app = open_page("data", set=f"litdata:{address}", section="Images")
    assert len([one for one in app.markdown if "<img" in one.value]) == len(CLASSES)
    assert main(["check", "litdata", "--root", address, "--workers", "1"]) == 0
    app = open_page("data", set=f"litdata:{address}", section="Check")
    assert {one.label: one.value for one in app.metric}["Images"] == "122"
    assert any("LitData, streamed · checked" in one.value for one in open_page("data").markdown)


def test_a_list_of_classes_is_asked_for_where_all_would_have_to_be_fetched(
    server: Server, tmp_path: Path, empty_store: Store, open_page: OpenPage
) -> None:
    address = server.put(write_ourselves(tmp_path / "set", count=61, labels=False), "unlisted")
    app = press(open_page("data", kind="litdata", folder=address), "Add")
    assert not app.exception and len(problems(app)) == 1
    assert "does not list the classes of its images" in problems(app)[0]
    # One image alone needs no list.
    app = open_page("data", set=f"litdata:{address}", section="What the network sees", image="7")
    assert problems(app) == [] and len(app.get("html")) > 5


def test_what_is_at_no_address_is_one_sentence(
    server: Server, empty_store: Store, open_page: OpenPage
) -> None:
    app = press(open_page("data", kind="litdata", folder="s3://images/nothing"), "Add")
    assert not app.exception and len(problems(app)) == 1
    app = press(open_page("data", kind="litdata", folder="file:///etc"), "Add")
    assert not app.exception and len(problems(app)) == 1
    assert read_folders(empty_store) == []
