"""The challenge's history: the figures of the sources, and which bars may be set against each other."""

from streamlit.testing.v1 import AppTest

from dashboard.architectures import ilsvrc, section_charts
from dashboard.architectures.families import family_colours, network_colours
from dashboard.architectures.history import history_rows, history_text
from dashboard.architectures.ilsvrc import ENTRIES, HUMAN
from dashboard.networks import catalogue


def script() -> None:
    from dashboard.architectures.history import show_history

    show_history()


def test_winners_and_their_errors() -> None:
    winners = {entry.year: entry.top5 for entry in ENTRIES if entry.is_winner}
    assert winners == {2010: 28.191, 2011: 25.77, 2012: 16.422, 2013: 11.743, 2014: 6.656, 2015: 3.567}
    assert [(entry.year, entry.top5) for entry in ENTRIES if not entry.is_winner] == [
        (2012, 26.2),
        (2014, 7.32),
    ]
    assert (HUMAN.top5, HUMAN.images) == (5.1, 1500)
    assert [entry.with_outside_images for entry in ENTRIES if entry.with_outside_images] == [15.315, 11.197]


def test_every_figure_has_a_source_and_known_networks() -> None:
    assert all(entry.source for entry in ENTRIES)
    assert {key for entry in ENTRIES for key in entry.networks} <= set(catalogue.architectures())
    assert [entry.year for entry in ENTRIES] == sorted(entry.year for entry in ENTRIES)


def test_years_of_other_test_images_look_and_read_otherwise() -> None:
    networks = catalogue.architectures()
    figure = section_charts.challenge_years(ENTRIES, HUMAN, network_colours(networks))
    bars, seconds = figure.data
    assert [colour == section_charts.HOLLOW for colour in bars.marker.color] == [True, True] + [False] * 4
    assert "different test images" in bars.customdata[0] and "different test images" not in bars.customdata[2]
    assert list(seconds.text) == ["2nd: ISI 26.2 %", "2nd: VGG 7.3 %"]
    assert figure.layout.shapes[0].y0 == HUMAN.top5
    rows = history_rows(ENTRIES, networks)
    assert ["Different test images." in str(row["Note"]) for row in rows] == [True, True] + [False] * 6


def test_rows_link_to_the_networks_and_keep_the_digits_of_the_source() -> None:
    networks = catalogue.architectures()
    rows = {row["Entry"]: row for row in history_rows(ENTRIES, networks)}
    assert rows["SuperVision"]["In this catalogue"] == "architectures?network=alexnet#AlexNet"
    assert rows["MSRA"]["In this catalogue"] == "architectures?network=resnet152#ResNet-152"
    assert rows["Clarifai"]["In this catalogue"] is None
    assert (rows["ISI"]["Top-5 error"], rows["MSRA"]["Top-5 error"]) == ("26.2 %", "3.567 %")


def test_a_family_has_one_colour_and_no_other_has_it() -> None:
    networks = catalogue.architectures()
    colours = network_colours(networks)
    assert len({colours[key] for key in ("vgg16", "vgg19", "vgg11")}) == 1
    families = family_colours(networks)
    assert len(set(families.values())) == len(families)


def test_the_section_has_chart_table_and_words() -> None:
    app = AppTest.from_function(script, default_timeout=120).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1 and len(app.dataframe[0].value) == len(ENTRIES)
    assert "1,500" in app.caption[0].value and "other test images" in app.caption[0].value
    text = history_text(ENTRIES)
    assert "2015 MSRA 3.6 %" in text and "a person 5.1 %" in text
    assert ilsvrc.PAGES in {entry.source for entry in ENTRIES}
