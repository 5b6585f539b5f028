"""Commands that are started from the page, and what they leave behind."""

import time
from pathlib import Path

import pytest

from dashboard.known_folders import read_folders
from datamodules.checks.reports import CheckReport, Finding, SplitSummary, write_report
from jobs import data_jobs
from tests.dashboard.data.looking import CLASSES, OpenPage, press, problems, wait_for_end
from tracking.store import Store


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
    press(app, "Go on")
    assert [one.job.words for one in data_jobs.list_jobs(empty_store)] == [tuple(words)] * 2
    wait_for_end(empty_store)
    # Where it will be can be chosen at once; until then its page says what is missing.
    assert [one.key for one in read_folders(empty_store)] == [f"imagenet:{target}"]
    assert len(problems(open_page("data", set=f"imagenet:{target}"))) == 1


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
    assert "have not been checked" in "".join(one.value for one in app.markdown)
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
