"""Every page, on an empty store and on one with runs, renders without an error."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.navigation import discover_pages, read_page
from tracking.runs import list_runs
from tracking.store import Store

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
PAGES = [page.path for page in discover_pages()]


def open_page(page: Path | str, **query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.query_params.update(query)
    app.switch_page(f"app_pages/{Path(page).stem}.py")
    app.run()
    return app


def texts(app: AppTest) -> str:
    return "\n".join(
        element.value for kind in ("title", "header", "markdown", "caption") for element in app.get(kind)
    )


def check_sound(app: AppTest) -> None:
    assert not app.exception
    assert [error.value for error in app.error] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_of_an_empty_store(page: Path, empty_store: Store) -> None:
    app = open_page(page)
    check_sound(app)
    assert app.title


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_of_a_store_with_runs(page: Path, filled_store: Store) -> None:
    app = open_page(page)
    check_sound(app)
    assert app.title


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED", "FINISHED", "FAILED"])
def test_one_run_in_every_state(status: str, filled_store: Store) -> None:
    run = list_runs(filled_store, [status])[0]
    app = open_page("runs", run=run.run_id)
    unexpected = [error.value for error in app.error if error.value != run.error]
    assert not app.exception and unexpected == []
    assert [header.value for header in app.header] == [run.name]
    assert run.settings["model.architecture"] in texts(app)
    assert (run.error in [error.value for error in app.error]) == bool(run.error)


def test_unknown_run_is_one_sentence(filled_store: Store) -> None:
    app = open_page("runs", run="0" * 32)
    assert not app.exception
    assert len(app.error) == 1 and "no run" in app.error[0].value


def test_damaged_store_is_one_sentence(filled_store: Store) -> None:
    for file in filled_store.root.glob("mlflow.db*"):
        file.write_bytes(b"this is not a database" * 100)
    app = open_page("home")
    assert not app.exception
    assert len(app.error) == 1 and "not a readable database" in app.error[0].value
    assert "Traceback" not in app.error[0].value


def test_stop_is_a_request(filled_store: Store) -> None:
    run = list_runs(filled_store, ["RUNNING"])[0]
    app = open_page("runs", run=run.run_id)
    next(button for button in app.button if button.label == "Stop").click().run()
    check_sound(app)
    assert list_runs(filled_store, ["RUNNING"])[0].is_stopping
    assert any(button.label == "Stopping …" and button.disabled for button in app.button)


def test_delete_removes_the_run(filled_store: Store) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    app = open_page("runs", run=run.run_id)
    next(button for button in app.button if button.label == "Delete this run").click().run()
    check_sound(app)
    assert run.run_id not in [one.run_id for one in list_runs(filled_store)]
    assert not filled_store.log_file(run.run_id).exists()


def test_compare_starts_with_the_latest_finished_of_each(filled_store: Store) -> None:
    app = open_page("compare")
    chosen = {run.run_id: run for run in list_runs(filled_store)}
    found = [chosen[run_id].architecture for run_id in app.multiselect(key="runs").value]
    assert found == ["alexnet", "vgg16", "googlenet", "resnet18"]


def test_compare_takes_its_runs_from_the_address(filled_store: Store) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    app = open_page("compare", runs=run.run_id, metric="loss")
    check_sound(app)
    assert app.multiselect(key="runs").value == [run.run_id]
    assert app.selectbox(key="metric").value == "loss"


def test_status_has_word_and_icon(filled_store: Store) -> None:
    page = texts(open_page("runs"))
    for word in ("Running", "Queued", "Finished", "Failed"):
        assert re.search(rf":material/\w+: {word}\]", page)


def test_a_new_page_is_found(tmp_path: Path) -> None:
    for name, order in (("second", 2), ("first", 1)):
        text = f'TITLE = "{name}"\nICON = ":material/home:"\nORDER = {order}\nraise SystemExit\n'
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert [page.title for page in discover_pages(tmp_path)] == ["first", "second"]


def test_a_page_without_title_says_so(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text('ICON = ":material/home:"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.py has no TITLE"):
        read_page(tmp_path / "odd.py")
