"""The Architectures page: a gallery to search in, a network opened, sections; all of it in the address."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.architectures.gallery import card, error_text, families, find
from dashboard.architectures.network_view import figures
from dashboard.architectures.rows import layer_rows, network_rows
from dashboard.architectures.sections import SECTIONS
from dashboard.networks import catalogue
from tracking.store import Store

OpenPage = Callable[..., AppTest]
ARCHITECTURES = catalogue.architectures()


def cards(app: AppTest) -> list[str]:
    keys = [button.key or "" for button in app.button]
    return [key.removeprefix("open-") for key in keys if key.startswith("open-")]


def address(app: AppTest) -> dict[str, list[str]]:
    params = app.query_params
    return {key: value if isinstance(value, list) else [value] for key, value in params.items()}


def texts(app: AppTest) -> str:
    return "\n".join(one.value for one in (*app.markdown, *app.caption))


def click(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception and not app.error
    return app


def test_every_network_has_a_card(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures")
    assert sorted(cards(app)) == sorted(ARCHITECTURES)
    for family in families(ARCHITECTURES.values()):
        assert f"#### {family}" in texts(app)


@pytest.mark.parametrize(
    ("search", "chosen", "keys"),
    [
        ("resnet50", [], {"resnet50"}),
        ("ReSNet-50", [], {"resnet50"}),
        (
            "krizhevsky 2012",
            [],
            {key for key, one in ARCHITECTURES.items() if "Krizhevsky" in one.paper.authors},
        ),
        ("2014", ["GoogLeNet"], {key for key, one in ARCHITECTURES.items() if one.family == "GoogLeNet"}),
        ("", ["AlexNet"], {key for key, one in ARCHITECTURES.items() if one.family == "AlexNet"}),
        ("no such network", [], set()),
    ],
)
def test_searching(search: str, chosen: list[str], keys: set[str]) -> None:
    found = {one.key for one in find(ARCHITECTURES, search, chosen)}
    assert found == {key for key in keys if all(word in found_in(key) for word in search.lower().split())}


def found_in(key: str) -> str:
    one = ARCHITECTURES[key]
    return f"{key} {one.name} {one.family} {one.paper} {one.year}".lower()


def test_a_search_is_part_of_the_address(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures")
    app.text_input(key="search").set_value("residual").run()
    shown = cards(app)
    assert "resnet50" in shown and "alexnet" not in shown
    assert address(app) == {"search": ["residual"]}
    assert cards(open_page("architectures", search="residual")) == shown


def test_families_are_part_of_the_address(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures", families=["AlexNet", "VGG"])
    assert {ARCHITECTURES[key].family for key in cards(app)} == {"AlexNet", "VGG"}
    app.run()
    assert address(app) == {"families": ["AlexNet", "VGG"]}


def test_an_empty_result_says_what_to_do(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures", search="transformer", families="VGG")
    assert cards(app) == [] and "Use fewer words" in texts(app)
    click(app, "Show all networks")
    assert sorted(cards(app)) == sorted(ARCHITECTURES) and address(app) == {}


def test_a_card_opens_its_network_and_the_gallery_comes_back_as_it_was(
    empty_store: Store, open_page: OpenPage
) -> None:
    app = open_page("architectures", search="vgg-16")
    app.button(key="open-vgg16").click().run()
    assert app.title[0].value == "VGG-16"
    assert address(app) == {"network": ["vgg16"], "search": ["vgg-16"]}
    assert 'class="drawing"' in texts(app) and 'class="stage-bars"' in texts(app)
    click(app, "All networks")
    assert app.title[0].value == "Architectures" and address(app) == {"search": ["vgg-16"]}
    assert app.text_input(key="search").value == "vgg-16"
    app.run()
    assert address(app) == {"search": ["vgg-16"]}


def test_another_network_is_chosen_in_an_open_one(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures", network="alexnet")
    app.selectbox(key="network").set_value("resnet18").run()
    assert app.title[0].value == "ResNet-18" and address(app) == {"network": ["resnet18"]}


def test_an_image_that_is_too_small_is_said_at_the_field(empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures", network="vgg16", size="16")
    assert "16 px is too small for VGG-16; 32 px is the smallest that works." in texts(app)
    assert not app.error and not app.dataframe


@pytest.mark.parametrize("key", ["alexnet", "googlenet", "cifar_resnet20", "resnet50"])
def test_an_open_network_says_all_of_it(key: str, empty_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures", network=key)
    one, ledger = ARCHITECTURES[key], catalogue.ledger(key, None, None, {})
    assert one.paper.url in texts(app)
    for difference in one.differences:
        assert difference in texts(app)
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Parameters"] == f"{ledger.parameters:,}"
    assert metrics["Depth"] == f"{one.depth} layers"
    assert metrics.get("Depth in Keras") == (str(one.keras_depth) if one.keras_depth else None)
    assert ("With auxiliary heads" in metrics) == (key == "googlenet")
    table = app.dataframe[0].value
    assert table["Parameters"].sum() == ledger.parameters_with_auxiliary
    assert {"Kernel", "Activations, MB", "Receptive field, px", "Stride, px", "Units"} <= set(table.columns)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_an_address(section: str, filled_store: Store, open_page: OpenPage) -> None:
    app = open_page("architectures", section=section)
    assert not app.error and not app.exception
    assert app.session_state["section"] == section
    assert address(app).get("section", ["Gallery"]) == [section]


def test_a_network_without_published_errors_says_so(empty_store: Store, open_page: OpenPage) -> None:
    unpublished = [key for key, one in ARCHITECTURES.items() if not one.published]
    for key in unpublished[:1]:
        assert error_text(ARCHITECTURES[key]) == "no published error"
        assert "No error of this network has been published." in texts(
            open_page("architectures", network=key)
        )
        (row,) = network_rows([ARCHITECTURES[key]], {}, {})
        assert row["Published top-1"] is None


def test_what_is_not_measured_yet_is_said() -> None:
    one = ARCHITECTURES["alexnet"]
    assert "counting" in card(one, None, None) and "cannot be counted" in card(one, None, "")
    ledger = catalogue.ledger("alexnet", None, None, {})
    assert "61.0 M" in card(one, ledger, "<svg/>") and "724 M" in card(one, ledger, "<svg/>")
    (waiting,) = network_rows([one], {}, {})
    (counted,) = network_rows([one], {"alexnet": ledger}, {})
    assert waiting["Parameters"] is None and counted["Parameters"] == 60_965_224


def test_costs_are_measured_only_when_they_are_asked_for() -> None:
    costs = catalogue.costs("parameters")
    assert costs["alexnet"] == 60_965_224 and list(costs) == list(ARCHITECTURES)
    with pytest.raises(KeyError):
        costs["no such network"]


def test_layers_are_listed_with_their_heads() -> None:
    ledger = catalogue.ledger("googlenet", None, None, {})
    rows = layer_rows(ledger)
    assert len(rows) == len(ledger.layers) + len(ledger.auxiliary_layers)
    assert sum(float(str(row["Share of parameters"])) for row in rows) == pytest.approx(100)
    assert figures(ARCHITECTURES["googlenet"], ledger)["Weights"][0] == "27 MB"
