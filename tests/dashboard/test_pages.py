"""Every page, on an empty store and on one with runs, renders without an error."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.navigation import discover_pages
from dashboard.runs.board import read_board
from dashboard.runs.rows import PAGE_SIZE
from datamodules.checks.reports import CheckReport, Finding, SplitSummary, write_report
from jobs.host import gpus
from jobs.scheduling.queue import is_held, line_up
from jobs.supervision.notifications import PROBLEM
from tests.dashboard.conftest import record
from tracking.records import delete_run, log_metrics, log_params, set_status, set_tags
from tracking.runs import DATA_WAIT, list_runs
from tracking.scaling import COMPARED_WITH, EFFICIENCY
from tracking.store import Store

PAGES = [page.path.stem for page in discover_pages()]

OpenPage = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    return "\n".join(
        element.value for kind in ("title", "header", "markdown", "caption") for element in app.get(kind)
    )


def check_sound(app: AppTest) -> None:
    assert not app.exception
    assert [error.value for error in app.error] == []


@pytest.mark.parametrize("page", PAGES)
def test_page_of_an_empty_store(page: str, empty_store: Store, open_page: OpenPage) -> None:
    app = open_page(page)
    check_sound(app)
    assert app.title


@pytest.mark.parametrize("page", PAGES)
def test_page_of_a_store_with_runs(page: str, filled_store: Store, open_page: OpenPage) -> None:
    app = open_page(page)
    check_sound(app)
    assert app.title


TOLD = {
    "two GPUs": [
        {
            "uuid": "GPU-a",
            "name": "NVIDIA H200",
            "total": 2**37,
            "used": 2**33,
            "capability": [9, 0],
            "busy": 5,
        },
        {"uuid": "GPU-b", "name": "Tesla V100", "total": 2**34, "capability": [7, 0]},
    ],
    "parts": [{"uuid": "GPU-c", "parts": [{"uuid": "MIG-x", "name": "part", "total": 2**34}]}],
    "a driver that does not answer": "Driver/library version mismatch",
}


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
@pytest.mark.parametrize("page", ["home", "launch", "runs", "architectures"])
def test_pages_whatever_the_driver_tells(
    page: str,
    told: object,
    filled_store: Store,
    open_page: OpenPage,
    tell: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpus, "DRIVER", (Path("/"),))
    tell(told)
    app = open_page(page, **{"home": {}, "launch": {"networks": "resnet18"}}.get(page, {}))
    check_sound(app)
    if page == "home":
        expected = told if isinstance(told, str) else "NVIDIA H200" if len(told) == 2 else "part"
        assert expected in texts(app)


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED", "FINISHED", "FAILED"])
def test_one_run_in_every_state(status: str, filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, [status])[0]
    app = open_page("runs", run=run.run_id)
    unexpected = [error.value for error in app.error if error.value != run.error]
    assert not app.exception and unexpected == []
    assert [header.value for header in app.header] == [run.name]
    assert run.settings["model.architecture"] in texts(app)
    assert (run.error in [error.value for error in app.error]) == bool(run.error)


def test_one_run_says_which_images_it_saw(
    filled_store: Store, open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    run = list_runs(filled_store, ["FINISHED"])[0]
    assert "Images" not in [one.value for one in open_page("runs", run=run.run_id).subheader]
    set_tags(filled_store, run.run_id, {"data.manifest": "a1" * 32, "data.manifest_before": "b2" * 32})
    log_params(filled_store, run.run_id, {"train_images": 1433, "val_images": 364, "num_classes": 10})
    app = open_page("runs", run=run.run_id)
    check_sound(app)
    assert "1,433 to train on, 364 to validate on, 10 classes" in texts(app)
    assert "a1" * 8 in texts(app) and f"started with other images: `{'b2' * 8}`" in texts(app)
    assert "python -m datamodules check" in texts(app)
    summary = SplitSummary(1433, 1, 0, (1433,), {}, {}, (), ())
    found = Finding("empty", "error", "1 file is empty.", 1, ("train/0/a.png",))
    grey = (0.5, 0.5, 0.5)
    write_report(
        CheckReport(
            *("digits", "", ("0",), "a1" * 32, "", summary, summary, grey, grey, (found,)),
            checked_at=1_790_000_000.0,
            duration_s=1.0,
        )
    )
    assert "1 error, 0 warnings" in texts(open_page("runs", run=run.run_id))


def test_one_run_says_what_it_left_out(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FINISHED"])[0]
    names = "\n".join(f"train/a/{number}.JPEG (empty)" for number in range(50))
    tags = {"data.skipped": 60, "data.skipped_train": 58, "data.skipped_val": 2, "data.skipped_files": names}
    set_tags(filled_store, run.run_id, tags)
    (warning,) = open_page("runs", run=run.run_id).warning
    assert "60 images could not be read and were skipped (58 of training, 2 of validation)" in warning.value
    assert warning.value.endswith("and 10 more, all in the log")


def test_one_run_says_what_it_started_from(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FINISHED"])[0]
    assert "Starting weights" not in [one.value for one in open_page("runs", run=run.run_id).subheader]
    start = {
        "weights.source": "torchvision ResNet18_Weights.IMAGENET1K_V1",
        "weights.published_error_top1": 30.242,
        "weights.protocol": "ILSVRC2012 val, resize 256, center crop 224, bilinear",
        "weights.new_layers": "fc has 1000 classes in the weights and 10 in the network.",
    }
    log_params(filled_store, run.run_id, start)
    app = open_page("runs", run=run.run_id)
    check_sound(app)
    assert "Starting weights" in [one.value for one in app.subheader]
    for words in ("Published top-1 error, % | 30.242", "Newly initialised | fc"):
        assert words in texts(app)


def test_a_run_on_several_devices_says_how_well_it_uses_them(
    filled_store: Store, open_page: OpenPage
) -> None:
    run, other = list_runs(filled_store, ["FINISHED"])
    assert "Scaling efficiency" not in texts(open_page("runs", run=run.run_id))
    log_params(filled_store, run.run_id, {"world_size": 4})
    app = open_page("runs", run=run.run_id)
    check_sound(app)
    assert "Scaling efficiency is not measured" in texts(app)
    set_tags(filled_store, run.run_id, {COMPARED_WITH: other.name})
    log_metrics(filled_store, run.run_id, {EFFICIENCY: 87.25}, run.step)
    app = open_page("runs", run=run.run_id)
    assert {one.label: one.value for one in app.metric}["Scaling efficiency"] == "87.2 %"
    assert f"of 4 times the images/s of {other.name} on one device" in texts(app)


def test_a_run_that_waits_for_images_says_so(filled_store: Store, open_page: OpenPage) -> None:
    run, *_ = list_runs(filled_store, ["FINISHED"])
    log_metrics(filled_store, run.run_id, {DATA_WAIT: 4.0}, run.step)
    assert "waited for images" not in texts(open_page("runs", run=run.run_id))
    log_metrics(filled_store, run.run_id, {DATA_WAIT: 34.04}, run.step + 1)
    app = open_page("runs", run=run.run_id)
    check_sound(app)
    assert "spent 34.0 % of the time waiting for images" in texts(app)


def test_unknown_run_is_one_sentence_and_a_way_back(filled_store: Store, open_page: OpenPage) -> None:
    app = open_page("runs", run="0" * 32)
    assert not app.exception
    assert len(app.error) == 1 and "no run" in app.error[0].value
    assert "All runs" in [link.proto.label for link in app.get("page_link")]


def test_home_adds_up_the_runs_once_there_are_any(empty_store: Store, open_page: OpenPage) -> None:
    assert "running · " not in texts(open_page("home"))
    record(empty_store, "alexnet", "FINISHED")
    assert "0 running · 0 queued · 1 done" in texts(open_page("home"))


def test_stop_is_a_request(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["RUNNING"])[0]
    app = open_page("runs", run=run.run_id)
    next(button for button in app.button if button.label == "Stop").click().run()
    check_sound(app)
    assert list_runs(filled_store, ["RUNNING"])[0].is_stopping
    assert any(button.label == "Stopping …" and button.disabled for button in app.button)


def test_the_queue_is_moved_and_held_on_the_page(filled_store: Store, open_page: OpenPage) -> None:
    first = list_runs(filled_store, ["SCHEDULED"])[0].run_id
    second = record(filled_store, "alexnet", "SCHEDULED")
    app = open_page("runs")
    assert app.button(key=f"queue-up-{first}").disabled and app.button(key=f"queue-down-{second}").disabled
    app.button(key=f"queue-up-{second}").click().run()
    check_sound(app)
    waiting = line_up(list_runs(filled_store, ["SCHEDULED"]))
    assert [run.run_id for run in waiting] == [second, first]
    app.button(key=f"queue-hold-{first}").click().run()
    check_sound(app)
    assert app.button(key=f"queue-release-{first}").label == "Release"
    assert any("held" in text.value for text in app.markdown)
    assert "held until it is released" in texts(open_page("runs", run=first))
    stale = open_page("runs")
    app.button(key=f"queue-release-{first}").click().run()
    stale.button(key=f"queue-release-{first}").click().run()
    check_sound(stale)
    assert not any(is_held(run) for run in list_runs(filled_store, ["SCHEDULED"])), (
        "released twice is released"
    )


def test_a_long_queue_is_shown_in_parts(filled_store: Store, open_page: OpenPage) -> None:
    for _ in range(PAGE_SIZE + 2):
        record(filled_store, "alexnet", "SCHEDULED")
    waiting = [run.run_id for run in line_up(list_runs(filled_store, ["SCHEDULED"]))]
    app = open_page("runs")
    keys = [button.key for button in app.button]
    assert [f"queue-up-{run_id}" in keys for run_id in waiting] == [True] * PAGE_SIZE + [False] * 3
    app.button(key="more-queue_shown").click().run()
    check_sound(app)
    assert app.button(key=f"queue-down-{waiting[-1]}").disabled
    assert "more-queue_shown" not in [button.key for button in app.button]


def test_the_turn_of_a_run_is_chosen_on_its_page(filled_store: Store, open_page: OpenPage) -> None:
    running = list_runs(filled_store, ["RUNNING"])[0]
    first = list_runs(filled_store, ["SCHEDULED"])[0].run_id
    second = record(filled_store, "alexnet", "SCHEDULED")
    app = open_page("runs", run=second)
    app.number_input[0].set_value(5).run()
    check_sound(app)
    assert [run.run_id for run in line_up(list_runs(filled_store, ["SCHEDULED"]))] == [second, first]
    app.selectbox[0].set_value(running.run_id).run()
    check_sound(app)
    assert f"It is queued to start: after {running.name}." in texts(app)
    assert f"priority 5, after {running.name}" in texts(open_page("runs"))
    app = open_page("runs", run=first)
    app.selectbox[0].set_value(second).run()
    app = open_page("runs", run=second)
    app.selectbox[0].set_value(first).run()
    assert ["would wait for itself" in error.value for error in app.error] == [True]
    app.selectbox[0].set_value("").run()
    check_sound(app)
    assert "It is queued to start, as soon as a device is free." in texts(app)


def test_a_run_says_that_nobody_was_told_of_it(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    set_tags(filled_store, run.run_id, {PROBLEM: "example.org was not told."})
    app = open_page("runs", run=run.run_id)
    assert "it has ended failed: example.org was not told." in texts(app)


def test_why_a_run_failed_stands_in_the_list(filled_store: Store, open_page: OpenPage) -> None:
    assert "The training process ran out of memory." in [one.value for one in open_page("runs").caption]


def test_a_failed_run_with_a_checkpoint_can_go_on(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    assert not [one for one in open_page("runs", run=run.run_id).button if one.label == "Resume"]
    folder = filled_store.checkpoint_folder(run.run_id)
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    app = open_page("runs", run=run.run_id)
    next(button for button in app.button if button.label == "Resume").click().run()
    check_sound(app)
    assert run.run_id in [one.run_id for one in list_runs(filled_store, ["SCHEDULED"])]


def test_seeds_are_shown_together(filled_store: Store, open_page: OpenPage) -> None:
    headings = [heading.value for heading in open_page("runs").subheader]
    assert "Over seeds" not in headings
    record(filled_store, "alexnet", "FINISHED", seed=1)
    app = open_page("runs")
    check_sound(app)
    assert "Over seeds" in [heading.value for heading in app.subheader]
    (row,) = app.dataframe[0].value.to_dict("records")
    assert (row["Network"], row["Top-1 error, %"], row["Seeds"]) == ("alexnet", "11.00 ± 0.00", 2)


def test_a_run_that_ran_out_of_memory_is_tried_again(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    label = "Retry with a smaller batch"
    app = open_page("runs", run=run.run_id)
    assert label not in [button.label for button in app.button]
    assert "resnet18 says hello" in [code.value for code in app.code], "the last lines beside the reason"
    set_tags(filled_store, run.run_id, {"job.retry_batch": 16})
    app = open_page("runs", run=run.run_id)
    next(button for button in app.button if button.label == label).click().run()
    check_sound(app)
    again = max(list_runs(filled_store, ["SCHEDULED"]), key=lambda one: one.created_at)
    assert (again.params["data.batch_size"], again.params["trainer.accumulate_grad_batches"]) == ("16", "2")
    assert [header.value for header in app.header] == [again.name]


def test_delete_says_what_it_frees(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    folder = filled_store.checkpoint_folder(run.run_id)
    folder.mkdir(parents=True)
    (folder / "last.ckpt").write_bytes(b"x" * 3_000_000)
    assert "That frees 3 MB and cannot be undone" in texts(open_page("runs", run=run.run_id))


def test_delete_removes_the_run(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    app = open_page("runs", run=run.run_id)
    next(button for button in app.button if button.label == "Delete this run").click().run()
    check_sound(app)
    assert run.run_id not in [one.run_id for one in list_runs(filled_store)]
    assert not filled_store.log_file(run.run_id).exists()


def test_compare_starts_with_the_latest_finished_of_each(filled_store: Store, open_page: OpenPage) -> None:
    app = open_page("compare")
    chosen = {run.run_id: run for run in list_runs(filled_store)}
    found = [chosen[run_id].architecture for run_id in app.multiselect(key="runs").value]
    assert found == ["alexnet", "vgg16", "googlenet", "resnet18"]


def test_compare_takes_its_runs_from_the_address(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    app = open_page("compare", runs=run.run_id, metric="loss")
    check_sound(app)
    assert app.multiselect(key="runs").value == [run.run_id]
    assert app.selectbox(key="metric").value == "loss"


def test_status_has_word_and_icon(filled_store: Store, open_page: OpenPage) -> None:
    page = texts(open_page("runs"))
    for word in ("Running", "Queued", "Finished", "Failed"):
        assert re.search(rf":material/\w+: {word}\]", page)


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_cannot_be_read_is_one_sentence(
    page: str, filled_store: Store, open_page: OpenPage
) -> None:
    for file in filled_store.root.glob("mlflow.db*"):
        file.write_bytes(b"this is not a database" * 100)
    app = open_page(page)
    assert len(app.error) == 1 and "not a readable database" in app.error[0].value
    assert "Traceback" not in app.error[0].value


def test_home_counts_what_is_running_queued_and_done(filled_store: Store, open_page: OpenPage) -> None:
    app = open_page("home")
    assert "1 running · 1 queued · 3 done, 1 of them failed" in texts(app)
    assert "1 running · 1 queued" in app.sidebar.caption[0].value


def test_home_starts_with_one_click(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("home")
    next(button for button in app.button if button.label == "Launch the quick arena").click().run()
    check_sound(app)
    queued = [run.architecture for run in list_runs(empty_store, ["SCHEDULED"])]
    assert sorted(queued) == ["alexnet", "googlenet", "resnet18", "vgg16"]


def test_architectures_tell_measured_from_published(filled_store: Store, open_page: OpenPage) -> None:
    table = open_page("architectures", section="Table").dataframe[0].value.set_index("Network")
    # The best of val, not of train, and not an error of ImageNet.
    assert table.loc["AlexNet", "Measured here, top-1"] == "11.0 % on digits · quick · 64 px"
    assert table.loc["ResNet-50", "Measured here, top-1"] == "not measured here yet"
    assert table.loc["AlexNet", "Published top-1"] == 40.7


def test_compare_has_best_and_last_and_only_settings_that_differ(
    filled_store: Store, open_page: OpenPage
) -> None:
    app = open_page("compare")
    values, settings = (frame.value for frame in app.dataframe)
    assert {"Top-1 best", "Top-1 last", "Loss best", "Loss last", "Parameters", "MACs"} <= set(values.columns)
    assert list(settings.columns) == ["Run", "model.architecture"]


def test_an_empty_compare_tells_what_to_do(empty_store: Store, open_page: OpenPage) -> None:
    assert "Launch two or more networks" in texts(open_page("compare"))


def test_a_run_that_was_deleted_is_no_longer_compared(filled_store: Store, open_page: OpenPage) -> None:
    first, second = list_runs(filled_store, ["FINISHED"])
    app = open_page("compare", runs=[first.run_id, second.run_id])
    delete_run(filled_store, first.run_id)
    app.run()
    check_sound(app)
    assert app.multiselect(key="runs").value == [second.run_id]
    assert first.run_id not in app.query_params["runs"] and second.run_id in app.query_params["runs"]


def test_a_run_that_ends_while_others_go_on_moves_to_done(filled_store: Store, open_page: OpenPage) -> None:
    before = read_board(filled_store).state
    run = list_runs(filled_store, ["RUNNING"])[0]
    set_status(filled_store, run.run_id, "FINISHED")
    after = read_board(filled_store).state
    assert before != after and len(after) == 1, "a live part that finds another state draws the page anew"
    app = open_page("runs")
    assert [one.value for one in app.subheader] == ["Now", "Done"]
