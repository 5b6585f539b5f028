"""Claims: every number is counted from the networks and agrees with the papers and independent counts."""

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.architectures import checked_claims
from dashboard.architectures.checked_claims import Catalogue, Claim, Verdict
from dashboard.architectures.claims import figures_table
from dashboard.networks import catalogue


@pytest.fixture(scope="module")
def claims() -> dict[str, Claim]:
    known = Catalogue(
        catalogue.architectures(), lambda key, options: catalogue.ledger(key, None, None, options)
    )
    return {check.__name__: check(known) for check in checked_claims.CHECKS}


# Independent counts and the papers' own figures.
EXPECTED = {
    "alexnet_parameters": (
        Verdict.ROUNDED_DOWN,
        ["60,965,224", "60,954,656", "10,568", "58,631,144", "96.17 %", "62,378,344", "61 million"],
    ),
    "alexnet_neurons": (Verdict.ROUNDED_DOWN, ["659,272", "658,272", "622,312", "253,440", "290,400"]),
    "googlenet_twelve_times": (
        Verdict.NOT_LITERALLY,
        ["8.71 times", "4.56 times", "10.21 times", "8.97 times", "6,998,552", "13,378,280"],
    ),
    "googlenet_without_linear": (
        Verdict.NOT_LITERALLY,
        ["**one**", "1,025,000", "14.65 %", "four more", "0.6 %"],
    ),
    "googlenet_operations": (
        Verdict.DEPENDS,
        ["1,502 million", "1,582,671,872", "80.7 million", "118.0", "84.0 million", "34.0 million", "2.7"],
    ),
    "vgg_parameters": (Verdict.TRUE, ["138,357,544", "123,642,856", "89.4 %", "2.27 times"]),
    "resnet_is_cheaper": (
        Verdict.TRUE,
        [
            "11.28",
            "15.47",
            "19.63",
            "11,282,415,616",
            "15,470,264,320",
            "15,346,630,656",
            "19,632,062,464",
            "19,508,428,800",
        ],
    ),
    "resnet50_operations": (
        Verdict.DEPENDS,
        ["3.86", "4.09", "3,857,973,248", "4,089,184,256", "25,557,032", "are the same"],
    ),
    "caffenet_is_one_stream": (
        Verdict.NOT_LITERALLY,
        ["60,965,224", "62,378,344", "724,406,816", "1,135,256,096", "exactly"],
    ),
    "alexnet_error": (Verdict.DEPENDS, ["15.3 %", "16.4 %", "18.2 %"]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_verdict_and_numbers(name: str, claims: dict[str, Claim]) -> None:
    verdict, numbers = EXPECTED[name]
    claim = claims[name]
    text = claim.explanation + figures_table(claim)
    assert claim.verdict == verdict
    assert [number for number in numbers if number not in text] == []


def test_every_claim_is_expected(claims: dict[str, Claim]) -> None:
    assert set(claims) == set(EXPECTED)


def exchange(**others: str) -> Catalogue:
    """Other networks under the same keys."""
    return Catalogue(
        catalogue.architectures(),
        lambda key, options: catalogue.ledger(others.get(key, key), None, None, options),
    )


def test_numbers_follow_the_networks() -> None:
    claim = checked_claims.vgg_parameters(exchange(vgg16="vgg11"))
    assert "132,863,336" in claim.explanation


@pytest.mark.parametrize(
    ("name", "others", "verdict"),
    [
        ("alexnet_parameters", {"alexnet": "vgg16"}, Verdict.NOT_LITERALLY),
        ("alexnet_neurons", {"alexnet": "vgg16"}, Verdict.NOT_LITERALLY),
        ("caffenet_is_one_stream", {"caffenet": "alexnet_one_stream"}, Verdict.TRUE),
        ("vgg_parameters", {"vgg16": "vgg11"}, Verdict.NOT_LITERALLY),
        ("googlenet_twelve_times", {"alexnet": "googlenet"}, Verdict.NOT_LITERALLY),
        ("googlenet_operations", {"googlenet": "googlenet_bn"}, Verdict.TRUE),
        ("resnet_is_cheaper", {"resnet152": "vgg16"}, Verdict.DEPENDS),
        ("resnet_is_cheaper", {"resnet152": "vgg19"}, Verdict.NOT_LITERALLY),
        ("resnet50_operations", {"resnet50": "resnet101"}, Verdict.NOT_LITERALLY),
    ],
)
def test_verdicts_follow_the_networks(name: str, others: dict[str, str], verdict: Verdict) -> None:
    assert getattr(checked_claims, name)(exchange(**others)).verdict is verdict


@pytest.mark.parametrize(
    ("count", "verdict"),
    [
        (60_400_000, Verdict.TRUE),
        (60_600_000, Verdict.ROUNDED_DOWN),
        (59_600_000, Verdict.TRUE),
        (62_000_000, Verdict.NOT_LITERALLY),
    ],
)
def test_rounding(count: int, verdict: Verdict) -> None:
    assert checked_claims.judge_rounding(count, 60_000_000, 1_000_000) is verdict


def test_verdicts_differ_by_more_than_colour() -> None:
    words, icons, _ = zip(*(verdict.value for verdict in Verdict), strict=True)
    assert len(set(words)) == len(set(icons)) == len(Verdict)


def script() -> None:
    from dashboard.architectures.claims import show_claims

    show_claims()


def test_the_section_shows_every_claim() -> None:
    app = AppTest.from_function(script, default_timeout=120).run()
    assert not app.exception
    text = "\n".join(markdown.value for markdown in app.markdown)
    assert text.count("-badge[") == len(EXPECTED) == text.count("| What | Value | From |")
    assert "“GoogLeNet has 12 times fewer parameters than AlexNet.”" in text
