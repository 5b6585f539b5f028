"""What is typed lives in the address: it survives a reload, a visit elsewhere, and can be shared."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from dashboard.architectures.sections import network_fields
from dashboard.compare.rows import curve_fields
from dashboard.launch.clone import clone_params
from dashboard.launch.fields import DEFAULT_NETWORKS, launch_fields
from dashboard.networks import catalogue
from dashboard.widgets.address import Field, between, is_yes, one_of, read, write
from jobs.submission.spec import JobSpec
from tracking.records import create_run
from tracking.runs import list_runs, read_config
from tracking.store import Store

OpenPage = Callable[..., AppTest]
Query = dict[str, str | list[str]]

LAUNCH: Query = {
    "networks": ["vgg16", "resnet50"],
    "source": "folder",
    "root": "~/no such folder & more",
    "recipe": "paper",
    "epochs": "7",
    "image_size": "96",
    "batch_size": "12",
    "precision": "bf16-mixed",
    "devices": "2",
    "seed": "41",
    "resnet50.stride_on": "3x3",
}
ARCHITECTURES: Query = {"network": "resnet50", "size": "96", "classes": "10", "resnet50.stride_on": "3x3"}
COMPARE: Query = {"metric": "loss", "across": "seconds", "splits": "val", "log": "yes"}

NONSENSE = ["", "nope", "-1", "1e9", "99999999999999999999", "٣", "<b>", "\x00", "🙂", "a" * 5000]


def address(app: AppTest) -> dict[str, list[str]]:
    """The address in one form: AppTest gives single values now as text, now as a list."""
    params = app.query_params
    return {key: value if isinstance(value, list) else [value] for key, value in params.items()}


def listed(query: Query) -> dict[str, list[str]]:
    return {key: value if isinstance(value, list) else [value] for key, value in query.items()}


def choose(app: AppTest, key: str, value: str | list[str]) -> None:
    next(group for group in app.get("button_group") if group.key == key).set_value(value).run()


@pytest.fixture
def compared(filled_store: Store) -> Query:
    return {"runs": [run.run_id for run in list_runs(filled_store, ["FINISHED", "FAILED"])], **COMPARE}


@pytest.mark.parametrize(("page", "query"), [("launch", LAUNCH), ("architectures", ARCHITECTURES)])
def test_an_address_opens_the_same_page_anywhere(
    page: str, query: Query, empty_store: Store, open_page: OpenPage
) -> None:
    app = open_page(page, **query)
    assert address(app) == listed(query)
    values = {key: app.session_state[key] for key in query}
    assert {key: write(value) for key, value in values.items()} == listed(query)
    app.run()
    assert address(app) == listed(query)


def test_an_address_of_a_comparison_opens_it(compared: Query, open_page: OpenPage) -> None:
    app = open_page("compare", **compared)
    assert address(app) == listed(compared)
    assert app.multiselect(key="runs").value == compared["runs"]
    assert app.session_state["log"] is True and app.session_state["across"] == "seconds"


def test_the_runs_of_a_comparison_are_always_in_the_address(filled_store: Store, open_page: OpenPage) -> None:
    app = open_page("compare")
    assert address(app) == {"runs": app.multiselect(key="runs").value}


@pytest.mark.parametrize("page", ["launch", "architectures"])
def test_a_page_as_it_comes_has_a_bare_address(page: str, empty_store: Store, open_page: OpenPage) -> None:
    assert address(open_page(page)) == {}


def test_what_is_typed_survives_a_visit_elsewhere(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch")
    app.number_input(key="epochs").set_value(7).run()
    choose(app, "networks.known", ["vgg16", "resnet50"])
    assert address(app) == {"networks": ["vgg16", "resnet50"], "epochs": ["7"]}
    open_page("architectures", app)
    assert address(app) == {}
    open_page("launch", app)
    assert address(app) == {"networks": ["vgg16", "resnet50"], "epochs": ["7"]}
    assert app.number_input(key="epochs").value == 7


def test_what_is_typed_survives_while_it_is_hidden(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", source="folder", root="/somewhere", networks="resnet50", **OPTION)
    choose(app, "source", "digits")
    choose(app, "networks.known", ["vgg16"])
    assert "root" not in [one.key for one in app.text_input]
    choose(app, "networks.known", ["resnet50"])
    choose(app, "source", "folder")
    assert app.text_input(key="root").value == "/somewhere"
    assert app.session_state["resnet50.stride_on"] == "3x3"


OPTION = {"resnet50.stride_on": "3x3"}


def test_pages_do_not_share_fields_of_the_same_name(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", networks="resnet50", **OPTION)
    open_page("architectures", app, network="resnet50")
    assert app.session_state["resnet50.stride_on"] == "1x1"


def test_an_address_wins_over_what_was_typed(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch", epochs="7", seed="5")
    open_page("home", app)
    open_page("launch", app, epochs="9")
    assert app.number_input(key="epochs").value == 9
    assert app.number_input(key="seed").value == 0, "an address speaks for all fields"


def test_clone_fills_in_the_form(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store, ["FAILED"])[0]
    app = open_page("launch", epochs="99", networks="vgg16", seed="8")
    open_page("runs", app, run=run.run_id)
    assert address(app) == {"run": [run.run_id]}
    next(button for button in app.button if button.label == "Clone").click().run()
    assert not app.exception and [error.value for error in app.error] == []
    assert app.title[0].value == "Launch"
    params = clone_params(yaml.safe_load(read_config(filled_store, run.run_id)))
    assert app.session_state["networks"] == [run.architecture] == params["networks"]
    assert app.session_state["epochs"] == 3 and app.session_state["seed"] == 0


def test_a_clone_says_what_it_loses(filled_store: Store, open_page: OpenPage) -> None:
    (config,) = JobSpec(("resnet18",), epochs=20_000).configs()
    config["trainer"] |= {"accelerator": "cpu", "gradient_clip_val": 1.0, "accumulate_grad_batches": 2}
    app = open_page("runs", run=create_run(filled_store, config, name="odd_one"))
    next(button for button in app.button if button.label == "Clone").click().run()
    (warning,) = app.warning
    assert (
        "no field for trainer.accelerator, trainer.gradient\\_clip\\_val and epochs = 20000 of odd"
        in warning.value
    )
    assert not open_page("home", app).warning and not open_page("launch", app).warning


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize(
    ("page", "names"), [("launch", LAUNCH), ("architectures", ARCHITECTURES), ("compare", COMPARE)]
)
def test_nonsense_in_an_address_is_ignored(
    page: str, names: Query, text: str, filled_store: Store, open_page: OpenPage
) -> None:
    app = open_page(page, **{name: text for name in names if name != "root"})
    assert [error.value for error in app.error] == []
    assert app.title


def test_a_deleted_run_in_an_address_is_ignored(filled_store: Store, open_page: OpenPage) -> None:
    run = list_runs(filled_store)[-1]
    app = open_page("compare", runs=["0" * 32, run.run_id, "x"])
    assert app.multiselect(key="runs").value == [run.run_id]
    app = open_page("compare", runs=["0" * 32])
    assert app.multiselect(key="runs").value == [] and not app.error


@pytest.mark.parametrize(
    ("field", "texts", "value"),
    [
        (Field(5, between(1, 9)), None, 5),
        (Field(5, between(1, 9)), ["7"], 7),
        (Field(5, between(1, 9)), ["10"], 5),
        (Field(5, between(1, 9)), ["1.5"], 5),
        (Field(None, between(1, 9)), [""], None),
        (Field(["a"], one_of(["a", "b"]), many=True), None, ["a"]),
        (Field(["a"], one_of(["a", "b"]), many=True), ["b", "x", "b"], ["b"]),
        (Field(["a"], one_of(["a", "b"]), many=True), [""], []),
        (Field(False, is_yes), ["yes"], True),
        (Field(False, is_yes), ["True"], False),
    ],
)
def test_reading(field: Field, texts: list[str] | None, value: Any) -> None:
    assert read(field, texts) == value


def fields() -> list[tuple[str, Field]]:
    architectures = catalogue.architectures()
    return [
        *launch_fields(architectures, catalogue.sources(), catalogue.augmentations()).items(),
        *network_fields(architectures).items(),
        *curve_fields(["error_top1", "loss"]).items(),
    ]


@pytest.mark.parametrize(("name", "field"), fields())
def test_every_default_can_be_written_and_read(name: str, field: Field) -> None:
    if field.default is not None and field.default is not False:
        assert read(field, write(field.default)) == field.default


def test_a_default_is_not_changed_through_a_page(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("launch")
    app.session_state["networks"].append("resnet50")
    assert open_page("launch").session_state["networks"] == list(DEFAULT_NETWORKS)
