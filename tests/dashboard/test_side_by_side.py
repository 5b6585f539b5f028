"""Networks side by side: aligned by halvings, nothing lost, and the two answers everybody asks for."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.architectures import resolutions, side_by_side
from dashboard.architectures.resolutions import HEAD, Split
from dashboard.networks import catalogue
from dashboard.widgets import stacked_bars
from lightning_modules.ledger import table as ledger

NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet152")


def split(key: str, image_size: int | None = None) -> Split:
    network = catalogue.architectures()[key]
    counted = ledger.measure(key, num_classes=None, image_size=image_size)
    return resolutions.take_apart(network.name, network.depth, image_size or network.input_size, counted)


def script() -> None:
    from dashboard.architectures.side_by_side import show_side_by_side
    from dashboard.widgets.address import arrive

    arrive("architectures")
    show_side_by_side()


def open_section(**query: str | list[str]) -> AppTest:
    app = AppTest.from_function(script, default_timeout=120)
    app.query_params.update(query)
    app.run()
    assert not app.exception
    return app


def num_bars(app: AppTest) -> int:
    names = "|".join(network.name for network in catalogue.architectures().values())
    return sum(len(re.findall(f"<dt>({names})</dt>", one.proto.body)) for one in app.get("html"))


@pytest.mark.parametrize("key", NETWORKS)
@pytest.mark.parametrize("image_size", [None, 96])
def test_nothing_is_lost_or_counted_twice(key: str, image_size: int | None) -> None:
    counted = ledger.measure(key, num_classes=None, image_size=image_size)
    apart = split(key, image_size)
    assert apart.total("parameters") == counted.parameters
    assert apart.total("macs") == counted.macs
    assert apart.total("activation_bytes") == sum(layer.activation_bytes() for layer in counted.layers)
    assert apart.share("macs", list(apart.parts)) == pytest.approx(100)


def test_maps_are_aligned_by_halvings() -> None:
    splits = [split(key) for key in NETWORKS]
    names = [resolutions.place_name(place, splits) for place in resolutions.every_place(splits)]
    assert names == [
        "224 px",
        "112 px",
        "55 to 56 px",
        "27 to 28 px",
        "13 to 14 px",
        "6 to 7 px",
        "fully connected",
    ]


@pytest.mark.parametrize(
    ("key", "place", "shape", "parameters", "macs"),
    [
        ("vgg16", 0, (64, 224, 224), 38_720, 1_936_392_192),
        ("vgg16", HEAD, (1000,), 123_642_856, 123_633_664),
        ("alexnet", 2, (96, 55, 55), 34_944, 105_415_200),
        ("googlenet", 3, (480, 28, 28), 163_696 + 388_736, 128_049_152 + 304_267_264),
        ("resnet152", 4, (1024, 14, 14), 40_613_888, 7_938_244_608),
        ("resnet152", HEAD, (1000,), 2_049_000, 2_048_000),
    ],
)
def test_the_figures_of_a_resolution(
    key: str, place: int, shape: tuple[int, ...], parameters: int, macs: int
) -> None:
    part = split(key).parts[place]
    assert (part.output_shape, part.parameters, part.macs) == (shape, parameters, macs)


def test_where_the_parameters_of_vgg_live() -> None:
    assert resolutions.parameters_sentence(split("vgg16")) == (
        "**89.4 %** of VGG-16's 138 M parameters are in its 3 fully connected layers."
    )
    assert "**96.2 %** of AlexNet's 61.0 M" in resolutions.parameters_sentence(split("alexnet"))
    assert "at 14 px" in resolutions.parameters_sentence(split("googlenet"))


def test_why_resnet152_is_cheaper_than_vgg16() -> None:
    sentence = resolutions.price_sentence([split("vgg16"), split("resnet152")])
    assert "**11.28 GMAC** against VGG-16's **15.47 GMAC**" in sentence
    assert "VGG-16 spends 30.5 % of them at 224 and 112 px" in sentence and "only 1.0 %" in sentence
    assert resolutions.price_sentence([split("vgg16")]) == ""


def test_bars_are_whole_and_labelled_where_there_is_room() -> None:
    splits = [split(key) for key in NETWORKS]
    for cost in resolutions.COSTS:
        found = side_by_side.segments(splits, cost, "share")
        for one in splits:
            assert sum(part.length for part in found if part.bar == one.name) == pytest.approx(100)
        assert all(bool(part.text) == (part.length >= side_by_side.NARROW) for part in found)
    colours = side_by_side.place_colours(splits)
    assert len(set(colours.values())) == len(colours), "no two resolutions share a colour"
    drawn = stacked_bars.stacked_bars(found, colours, "title", limit=100)
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", drawn)]
    assert len(widths) == len(found) and sum(widths) == pytest.approx(100 * len(splits), abs=0.1)
    assert [drawn.index(f"<dt>{one.name}</dt>") for one in splits] == sorted(
        drawn.index(f"<dt>{one.name}</dt>") for one in splits
    )
    longest = side_by_side.segments(splits, "macs", "amount")
    assert sum(part.length for part in longest if part.bar == "VGG-16") == pytest.approx(15.470264320)


def test_the_table_has_a_row_for_each_resolution_and_one_for_all() -> None:
    table = side_by_side.resolution_table([split("vgg16"), split("resnet152")])
    assert list(table.index) == [
        "224 px",
        "112 px",
        "56 px",
        "28 px",
        "14 px",
        "7 px",
        "fully connected",
        "All",
    ]
    assert table.loc["All", ("VGG-16", "Parameters")] == 138_357_544
    assert table.loc["fully connected", ("VGG-16", "Parameters")] == 123_642_856
    assert table.loc["14 px", ("ResNet-152", "Shape")] == "1024 x 14 x 14"


def test_the_section_answers_in_words_bars_and_numbers() -> None:
    app = open_section()
    text = "\n".join(markdown.value for markdown in app.markdown)
    assert "89.4 %" in text and "11.28 GMAC" in text
    assert num_bars(app) == 3 * 4 and len(app.dataframe) == 1
    assert app.multiselect(key="compare").value == list(NETWORKS)


def test_the_choice_lives_in_the_address() -> None:
    app = open_section(compare=["vgg16", "resnet50"], compare_size="128", bars="amount")
    assert app.multiselect(key="compare").value == ["vgg16", "resnet50"]
    assert app.number_input(key="compare_size").value == 128
    app.multiselect(key="compare").set_value(["vgg19"]).run()
    assert app.query_params["compare"] == "vgg19" and app.query_params["bars"] == "amount"


def test_more_than_four_networks_of_an_address_are_cut_off() -> None:
    keys = list(catalogue.architectures())[:6]
    assert open_section(compare=keys).multiselect(key="compare").value == keys[:4]


def test_without_a_network_it_says_what_to_do() -> None:
    app = open_section()
    app.multiselect(key="compare").set_value([]).run()
    assert "Choose two to four networks" in app.info[0].value and not num_bars(app)


def test_images_that_are_too_small_are_said_to_be() -> None:
    app = open_section(compare=["alexnet", "vgg16"], compare_size="40")
    assert "too small for AlexNet" in "\n".join(one.value for one in app.markdown)
    assert not num_bars(app)
