"""The error figure: one protocol at a time, single networks only, runs of ours only when measured alike."""

import math

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.architectures import bubble_chart, error_figure, published
from dashboard.architectures.bubble_chart import Bubble
from dashboard.architectures.published import OURS, Conditions
from dashboard.networks import catalogue
from tests.dashboard.conftest import configuration
from tracking import records
from tracking.comparison import best_and_last
from tracking.runs import get_run, list_runs
from tracking.store import Store

CROPS = Conditions("ILSVRC2012 val", "10 crops")


def script() -> None:
    from dashboard.architectures.error_figure import show_error_figure
    from dashboard.widgets.address import arrive

    arrive("architectures")
    show_error_figure()


def open_section(**query: str) -> AppTest:
    app = AppTest.from_function(script, default_timeout=120)
    app.query_params.update(query)
    app.run()
    assert not app.exception
    return app


def imagenet_run(store: Store, error: float = 24.5, **changes: object) -> str:
    """Write a run as one on ImageNet would be recorded."""
    data = {"source": "folder", "root": "/data", "image_size": 224, **changes}
    found_out = {
        "network.parameters": 25_557_032,
        "network.macs": 3_857_973_248,
        "num_classes": data.pop("num_classes", 1000),
        "val_images": data.pop("val_images", 50_000),
    }
    run_id = records.create_run(store, configuration("resnet50", **data))
    records.log_params(store, run_id, found_out)
    records.log_metrics(store, run_id, {"val/error_top1": error, "val/error_top5": error / 3}, 10)
    records.set_status(store, run_id, "FINISHED")
    return run_id


@pytest.mark.parametrize("metric", published.METRICS)
def test_protocols_are_never_mixed(metric: str) -> None:
    networks = catalogue.architectures()
    for protocol in published.protocols(networks, metric).values():
        found = published.standings(networks, metric, protocol)
        assert len(found) >= 2
        assert {published.conditions_of(one.published) for one in found.values()} == {protocol}
        assert all(one.published.models == 1 and 0 < one.error < 100 for one in found.values())


def test_the_protocol_of_most_networks_comes_first() -> None:
    networks = catalogue.architectures()
    offered = list(published.protocols(networks, "error_top1").values())
    counts = [len(published.standings(networks, "error_top1", one)) for one in offered]
    assert counts == sorted(counts, reverse=True) and offered[0] == OURS and CROPS in offered


def test_single_networks_only() -> None:
    # The five of AlexNet averaged reached 38.1 % by the same protocol.
    assert published.standings(catalogue.architectures(), "error_top1", CROPS)["alexnet"].error == 40.7


def test_a_figure_of_another_network_is_not_drawn_twice() -> None:
    # Its page quotes the 10.07 % of GoogLeNet without batch normalisation.
    found = published.standings(catalogue.architectures(), "error_top5", OURS)
    assert (found["googlenet"].error, found["googlenet_bn"].error) == (10.07, 10.47)


def test_costs_are_those_of_the_network_that_was_tested() -> None:
    networks = catalogue.architectures()
    later = Conditions("ILSVRC2012 val", "center crop after resizing to 232")
    found = published.standings(networks, "error_top1", later)
    assert found["resnet50"].options == {"stride_on": "3x3"} and found["resnet50"].is_retraining
    (bubble,) = error_figure.published_bubbles(networks, {"resnet50": found["resnet50"]}, "error_top1")
    assert bubble.macs == 4_089_184_256 and bubble.is_hollow
    option = published.standings(networks, "error_top1", CROPS)["resnet18"].options
    assert option == {"shortcut": "A"}, "the paper's own figure is that without projections"


def test_a_run_on_imagenet_stands_beside_center_crops_only(empty_store: Store) -> None:
    run = get_run(empty_store, imagenet_run(empty_store))
    networks = catalogue.architectures()
    assert published.measured_alike([run], networks, OURS) == [run]
    assert published.measured_alike([run], networks, CROPS) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "digits", "root": None},
        {"image_size": 64},
        {"num_classes": 100},
        {"val_images": 5000},
    ],
)
def test_a_run_measured_otherwise_is_never_drawn(changes: dict[str, object], empty_store: Store) -> None:
    run = get_run(empty_store, imagenet_run(empty_store, **changes))
    assert published.measured_alike([run], catalogue.architectures(), OURS) == []


def test_runs_on_digits_are_never_drawn(filled_store: Store) -> None:
    assert published.measured_alike(list_runs(filled_store), catalogue.architectures(), OURS) == []
    captions = "\n".join(caption.value for caption in open_section().caption)
    assert "No run here was measured like this" in captions


def test_the_best_run_of_a_network_is_a_star(empty_store: Store) -> None:
    for error in (math.nan, 30.0, 24.5):
        imagenet_run(empty_store, error)
    runs = list_runs(empty_store)
    networks = catalogue.architectures()
    (best,) = published.best_of_each(best_and_last(empty_store, runs, ["val/error_top1"]))
    (bubble,) = error_figure.own_bubbles(networks, [best], "error_top1")
    assert bubble.is_ours and bubble.error == 24.5 and "measured here" in bubble.detail
    assert not any("No run here" in caption.value for caption in open_section().caption)


def bubble(label: str, macs: float, error: float, parameters: int = 10_000_000) -> Bubble:
    return Bubble(label, "family", "#1c7ed6", macs, error, parameters, "detail")


def test_areas_go_by_parameters() -> None:
    large, small = bubble_chart.diameters(
        [bubble("a", 1e9, 30, 100_000_000), bubble("b", 1e9, 30, 25_000_000)]
    )
    assert large == bubble_chart.LARGEST_PX and small == pytest.approx(large / 2)


def test_ticks_are_round_numbers() -> None:
    assert bubble_chart.cost_ticks(4e8, 1.2e10) == [5e8, 1e9, 2e9, 5e9, 1e10]


def test_names_keep_out_of_each_others_way() -> None:
    bubbles = [bubble(name, 1e9, 30 + 0.1 * place) for place, name in enumerate(("one", "two", "three"))]
    far = bubble("far", 1e10, 60)
    x_range, y_range = bubble_chart.axis_ranges([*bubbles, far])
    sizes = bubble_chart.diameters([*bubbles, far])
    places = bubble_chart.label_places([*bubbles, far], sizes, x_range, y_range)
    assert len(set(places[:3])) == 3


def test_every_bubble_is_inside_the_axes_and_hollow_or_not_as_it_should() -> None:
    networks = catalogue.architectures()
    found = published.standings(networks, "error_top1", OURS)
    figure = bubble_chart.bubble_chart(
        error_figure.published_bubbles(networks, found, "error_top1"), "Top-1 error"
    )
    low, high = figure.layout.xaxis.range
    for trace in figure.data:
        for x in trace.x:
            assert x is None or low < math.log10(x) < high
    labels = figure.data[-1]
    assert len(labels.text) == len(found) and labels.hoverinfo == "skip"
    symbols = {symbol for trace in figure.data for symbol in (trace.marker.symbol or ()) if len(symbol) > 1}
    assert symbols == {"circle", "circle-open"}


def test_missing_networks_are_named() -> None:
    networks = catalogue.architectures()
    found = published.standings(networks, "error_top1", OURS)
    alike, others = error_figure.missing_texts(networks, found, OURS, "top-1 error")
    assert "Plain-34" in alike and "VGG-16," not in alike
    assert others.startswith("Designed for other images") and "20" in others


def test_the_choice_lives_in_the_address(empty_store: Store) -> None:
    app = open_section(published="error_top5", protocol=str(CROPS))
    assert app.selectbox(key="protocol").value == str(CROPS)
    assert "center crop" in "\n".join(caption.value for caption in app.caption)
    app.selectbox(key="protocol").set_value(str(OURS)).run()
    assert app.query_params["published"] == "error_top5" and not app.exception
