"""Popular claims about these networks, and what exactly is true.

Numbers marked as counted are counted when the page is shown; figures of papers are quoted with their place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.ledger.table import Layer, Ledger

COUNTED = "counted here"
# What the papers print.
FIGURE_2_UNITS = (253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)
GOOGLENET_TABLE_PARAMETERS = 6_797_700
GOOGLENET_TABLE_MACS = 1_502_000_000
GOOGLENET_TABLE_CONV1_MACS = 34_000_000
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
RESNET_PAPER_GMACS = {"ResNet-152": 11.3, "VGG-16": 15.3, "VGG-19": 19.6}


class Verdict(Enum):
    """What counting says of a claim: a word, an icon and a colour, never a colour alone."""

    TRUE = ("True", ":material/check_circle:", "green")
    ROUNDED_DOWN = ("True if rounded down", ":material/content_cut:", "blue")
    DEPENDS = ("It depends", ":material/alt_route:", "orange")
    NOT_LITERALLY = ("Not literally true", ":material/cancel:", "red")

    @property
    def badge(self) -> str:
        """The verdict as Streamlit's inline badge."""
        word, icon, colour = self.value
        return f":{colour}-badge[{icon} {word}]"


@dataclass(frozen=True)
class Figure:
    """One number behind a verdict, and where it is from."""

    what: str
    value: str
    source: str = COUNTED


@dataclass(frozen=True)
class Claim:
    """A sentence, what becomes of it, and why."""

    sentence: str
    verdict: Verdict
    explanation: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Catalogue:
    """Where claims are looked up.

    Attributes:
        networks: all networks by key.
        count: counts one of them with options of its own, as its paper has it in everything else.
    """

    networks: "Mapping[str, Architecture]"
    count: "Callable[[str, Mapping[str, str]], Ledger]"

    def ledger(self, key: str, **options: str) -> "Ledger":
        """Count a network."""
        return self.count(key, options)


def check_claims(catalogue: Catalogue) -> list[Claim]:
    """Check every claim against the networks as they are."""
    return [check(catalogue) for check in CHECKS]


def alexnet_parameters(catalogue: Catalogue) -> Claim:
    """60 million parameters."""
    ledger = catalogue.ledger("alexnet")
    weighted = weighted_layers(ledger)
    biases = sum(layer.output_shape[0] for layer in weighted)
    linear = linear_parameters(ledger)
    share = 100 * linear / ledger.parameters
    one_stream = catalogue.ledger("alexnet_one_stream").parameters
    return Claim(
        "AlexNet has 60 million parameters.",
        judge_rounding(ledger.parameters, 60_000_000, 1_000_000),
        f"It has **{ledger.parameters:,}**, which is {round(ledger.parameters / 1e6)} million to the nearest "
        f"million. {share:.2f} % of them are in the three fully connected layers. The two streams save some: "
        f"with the same widths in one stream there would be {one_stream:,}.",
        (
            Figure("parameters", f"{ledger.parameters:,}"),
            Figure("weights", f"{ledger.parameters - biases:,}"),
            Figure("biases", f"{biases:,}"),
            Figure("in fully connected layers", f"{linear:,} ({share:.2f} %)"),
            Figure("in one stream", f"{one_stream:,}"),
            Figure("in the abstract", "60 million", "Krizhevsky 2012"),
        ),
    )


def alexnet_neurons(catalogue: Catalogue) -> Claim:
    """650,000 neurons."""
    ledger = catalogue.ledger("alexnet")
    first, *_, classes = weighted_layers(ledger)
    channels, height, width = first.output_shape
    printed = sum(FIGURE_2_UNITS)
    return Claim(
        "AlexNet has 650,000 neurons.",
        judge_rounding(ledger.units, 650_000, 10_000),
        f"Convolutions and fully connected layers put out **{ledger.units:,}** values, "
        f"{ledger.units - classes.units:,} without the classes. The list under the paper's figure 2 adds up "
        f"to {printed:,} only, because it gives the first layer {FIGURE_2_UNITS[0]:,} = 55 x 48 x 96; the "
        f"layer has {height} x {width} x {channels} = {first.units:,}.",
        (
            Figure("units", f"{ledger.units:,}"),
            Figure("units without the classes", f"{ledger.units - classes.units:,}"),
            Figure("first layer", f"{first.units:,}"),
            Figure("first layer", f"{FIGURE_2_UNITS[0]:,}", "Krizhevsky 2012, figure 2"),
            Figure("sum of the list", f"{printed:,}", "Krizhevsky 2012, figure 2"),
            Figure("in the abstract", "650,000", "Krizhevsky 2012"),
        ),
    )


def googlenet_twelve_times(catalogue: Catalogue) -> Claim:
    """12 times fewer parameters."""
    alexnet, googlenet = catalogue.ledger("alexnet"), catalogue.ledger("googlenet")
    most = alexnet.parameters
    ratios = {
        "for inference": googlenet.parameters,
        "with both auxiliary heads": googlenet.parameters_with_auxiliary,
        "without its classifier": googlenet.parameters - linear_parameters(googlenet),
    }
    texts = {name: f"{most / count:.2f} times" for name, count in ratios.items()}
    twelve_times = [round(most / count) == 12 for count in ratios.values()]
    return Claim(
        "GoogLeNet has 12 times fewer parameters than AlexNet.",
        judge(is_so=all(twelve_times), is_so_sometimes=any(twelve_times)),
        f"AlexNet has **{texts['for inference']}** as many as GoogLeNet for inference, "
        f"{texts['with both auxiliary heads']} as many with both auxiliary heads, "
        f"{texts['without its classifier']} if its last layer is left out. A factor of 12 results only from "
        "the rounded figures of a later paper: 60 million against 5.",
        (
            *(
                Figure(f"GoogLeNet {name}", f"{count:,}: {most / count:.2f} times fewer")
                for name, count in ratios.items()
            ),
            Figure(
                "GoogLeNet by the sum of its table",
                f"{GOOGLENET_TABLE_PARAMETERS:,}: {most / GOOGLENET_TABLE_PARAMETERS:.2f} times fewer",
                "Szegedy 2014, table 1",
            ),
            Figure("in the introduction", "12 times fewer", "Szegedy 2014"),
            Figure(
                "60 million against 5", f"{60 / 5:.0f} times", "Szegedy 2015 (Inception-v3), introduction"
            ),
        ),
    )


def googlenet_without_linear(catalogue: Catalogue) -> Claim:
    """No fully connected layer."""
    ledger = catalogue.ledger("googlenet")
    linear, auxiliary = (
        sum(layer.kind == "linear" for layer in layers) for layers in (ledger.layers, ledger.auxiliary_layers)
    )
    parameters = linear_parameters(ledger)
    share = 100 * parameters / ledger.parameters
    return Claim(
        "GoogLeNet has no fully connected layer.",
        judge(is_so=not (linear or auxiliary), is_so_sometimes=not linear),
        f"It has **{NUMBERS[linear]}**, the classifier: {parameters:,} parameters, {share:.2f} % of the "
        f"network. The auxiliary heads have {NUMBERS[auxiliary]} more, in training only. What is true: there "
        "is no *hidden* one on the main path; the paper says that averaging instead gained about 0.6 % in "
        "top-1.",
        (
            Figure("fully connected layers on the main path", str(linear)),
            Figure("their parameters", f"{parameters:,} ({share:.2f} %)"),
            Figure("fully connected layers in both heads", str(auxiliary)),
            Figure("gain in top-1 by averaging", "about 0.6 %", "Szegedy 2014"),
        ),
    )


def googlenet_operations(catalogue: Catalogue) -> Claim:
    """1.5 billion multiply-adds."""
    ledger = catalogue.ledger("googlenet")
    first = weighted_layers(ledger)[0]
    side = first.output_shape[1]
    gap, gap_of_first = ledger.macs - GOOGLENET_TABLE_MACS, first.macs - GOOGLENET_TABLE_CONV1_MACS
    separable = 3 * 8 * 7 * 7 + 24 * 64
    of_network, of_table = (round(macs, -8) == 1_500_000_000 for macs in (ledger.macs, GOOGLENET_TABLE_MACS))
    return Claim(
        "GoogLeNet needs 1.5 billion multiply-adds.",
        judge(is_so=of_network, is_so_sometimes=of_table),
        f"The operations in the paper's table 1 add up to {GOOGLENET_TABLE_MACS / 1e6:,.0f} million; the "
        f"network as it is described needs **{ledger.macs:,}**, {gap / 1e6:.1f} million more. The first "
        f"convolution alone takes {gap_of_first / 1e6:.1f} million more: {first.macs / 1e6:.1f} here, "
        f"{GOOGLENET_TABLE_CONV1_MACS / 1e6:.0f} in the table. A separable 7x7 would have the table's "
        f"{separable / 1e3:.1f} thousand weights and "
        f"{separable * side * side / 1e6:.1f} million operations; the paper does not say so.",
        (
            Figure("MACs for one image", f"{ledger.macs:,}"),
            Figure("sum of the operations", f"{GOOGLENET_TABLE_MACS:,}", "Szegedy 2014, table 1"),
            Figure("first convolution", f"{first.macs:,}"),
            Figure("first convolution", f"{GOOGLENET_TABLE_CONV1_MACS:,}", "Szegedy 2014, table 1"),
            Figure("more than in the table, in all", f"{gap:,}"),
            Figure("more than in the table, first convolution", f"{gap_of_first:,}"),
        ),
    )


def vgg_parameters(catalogue: Catalogue) -> Claim:
    """138 million parameters."""
    ledger, alexnet = catalogue.ledger("vgg16"), catalogue.ledger("alexnet")
    linear = linear_parameters(ledger)
    share, times = 100 * linear / ledger.parameters, ledger.parameters / alexnet.parameters
    return Claim(
        "VGG-16 has 138 million parameters.",
        judge_rounding(ledger.parameters, 138_000_000, 1_000_000),
        f"It has **{ledger.parameters:,}**, {times:.2f} times AlexNet's. {share:.1f} % of them "
        f"({linear:,}) are in its three fully connected layers.",
        (
            Figure("parameters", f"{ledger.parameters:,}"),
            Figure("in fully connected layers", f"{linear:,} ({share:.1f} %)"),
            Figure("times AlexNet's", f"{times:.2f}"),
            Figure("in the table", "138 million", "Simonyan and Zisserman 2014, table 2"),
        ),
    )


def resnet_is_cheaper(catalogue: Catalogue) -> Claim:
    """ResNet-152 is cheaper than VGG."""
    ledgers = {catalogue.networks[key].name: catalogue.ledger(key) for key in ("resnet152", "vgg16", "vgg19")}
    resnet, vgg16, vgg19 = ledgers.values()
    return Claim(
        "ResNet-152 is cheaper than VGG.",
        judge(is_so=resnet.macs < min(vgg16.macs, vgg19.macs), is_so_sometimes=resnet.macs < vgg19.macs),
        f"It needs **{gigas(resnet.macs)} GMAC** for one image, VGG-16 {gigas(vgg16.macs)} and VGG-19 "
        f"{gigas(vgg19.macs)}. The paper's two figures for VGG do not count alike: 15.3 for VGG-16 is its "
        f"convolutions alone ({gigas(convolution_macs(vgg16))}), 19.6 for VGG-19 is everything "
        f"(convolutions alone: {gigas(convolution_macs(vgg19))}). Cheaper by operations, that is: it keeps "
        f"{resnet.activation_bytes() / vgg16.activation_bytes():.1f} times VGG-16's activations for the "
        "backward pass.",
        (
            *(Figure(f"{name}, MACs", f"{ledger.macs:,}") for name, ledger in ledgers.items()),
            *(
                Figure(f"{name}, convolutions alone", f"{convolution_macs(ledger):,}")
                for name, ledger in list(ledgers.items())[1:]
            ),
            *(
                Figure(f"{name}, FLOPs", f"{value} billion", "He 2015")
                for name, value in RESNET_PAPER_GMACS.items()
            ),
        ),
    )


def resnet50_operations(catalogue: Catalogue) -> Claim:
    """3.8 or 4.1 GFLOPs."""
    paper, later = (
        catalogue.ledger("resnet50", stride_on="1x1"),
        catalogue.ledger("resnet50", stride_on="3x3"),
    )
    same = "the same" if paper.parameters == later.parameters else "not the same"
    return Claim(
        "ResNet-50 costs 3.8 GFLOPs. Or are they 4.1?",
        judge(is_so=False, is_so_sometimes=int(paper.macs / 1e8) == 38 and round(later.macs, -8) == 41e8),
        f"Both, counted in multiply-accumulates: **{gigas(paper.macs)}** with the stride on the first 1x1 "
        f"convolution of a bottleneck, as the authors have it; **{gigas(later.macs)}** with it on the 3x3, "
        f"as most libraries do today (v1.5). The parameters are {same}.",
        (
            Figure("MACs, stride on the 1x1", f"{paper.macs:,}"),
            Figure("MACs, stride on the 3x3", f"{later.macs:,}"),
            Figure("parameters of both", f"{paper.parameters:,}"),
            Figure("in the table", "3.8 billion", "He 2015, table 1"),
        ),
    )


def caffenet_is_one_stream(catalogue: Catalogue) -> Claim:
    """CaffeNet is one-stream AlexNet."""
    alexnet, caffenet, one_stream = (
        catalogue.ledger(key) for key in ("alexnet", "caffenet", "alexnet_one_stream")
    )
    costs_same = (caffenet.parameters, caffenet.macs) == (alexnet.parameters, alexnet.macs)
    return Claim(
        "CaffeNet is AlexNet in one stream.",
        judge(is_so=caffenet.parameters == one_stream.parameters),
        "It runs on one GPU, but its second, fourth and fifth convolutions still work in two groups. It "
        f"{'costs exactly what AlexNet costs' if costs_same else 'costs almost what AlexNet costs'}: "
        f"**{caffenet.parameters:,}** parameters; a network truly in one stream has "
        f"{one_stream.parameters:,}. What differs is the order of pooling and normalisation.",
        (
            Figure("CaffeNet, parameters", f"{caffenet.parameters:,}"),
            Figure("AlexNet, parameters", f"{alexnet.parameters:,}"),
            Figure("one stream, parameters", f"{one_stream.parameters:,}"),
            Figure("CaffeNet, MACs", f"{caffenet.macs:,}"),
            Figure("AlexNet, MACs", f"{alexnet.macs:,}"),
            Figure("one stream, MACs", f"{one_stream.macs:,}"),
        ),
    )


def alexnet_error(catalogue: Catalogue) -> Claim:
    """15.3 %."""
    own = [one for one in catalogue.networks["alexnet"].published if one.trained_by == "authors"]
    best = {models: min(one.top5 for one in own if one.models == models and one.top5) for models in (7, 5, 1)}
    return Claim(
        "AlexNet got 15.3 %.",
        judge(is_so=best[1] == 15.3, is_so_sometimes=15.3 in best.values()),
        f"**{best[7]} %** top-5 is the average of seven networks, two of them first trained on the larger "
        f"release of Fall 2011. Five networks on the supplied images alone got {best[5]} %, and one alone "
        f"**{best[1]} %** (on the validation images).",
        tuple(
            Figure(f"{one.models} averaged, top-5, {one.split.split()[-1]}", f"{one.top5} %", one.source)
            if one.models > 1
            else Figure(f"one network, top-5, {one.split.split()[-1]}", f"{one.top5} %", one.source)
            for one in own
            if one.top5
        ),
    )


def judge(is_so: bool, is_so_sometimes: bool = False) -> Verdict:
    """Judge by what was counted.

    Args:
        is_so: whether it is as claimed, however one counts.
        is_so_sometimes: whether it is for one way to count.
    """
    return Verdict.TRUE if is_so else Verdict.DEPENDS if is_so_sometimes else Verdict.NOT_LITERALLY


def judge_rounding(count: int, claimed: int, unit: int) -> Verdict:
    """Judge a number that people give in whole units, such as millions."""
    if round(count / unit) * unit == claimed:
        return Verdict.TRUE
    return Verdict.ROUNDED_DOWN if count // unit * unit == claimed else Verdict.NOT_LITERALLY


def weighted_layers(ledger: "Ledger") -> "list[Layer]":
    """List convolutions and linear layers, in the order of the forward pass."""
    return [layer for layer in ledger.layers if layer.kind in ("conv", "linear")]


def linear_parameters(ledger: "Ledger") -> int:
    """Count the parameters of the linear layers on the main path."""
    return sum(layer.parameters for layer in ledger.layers if layer.kind == "linear")


def convolution_macs(ledger: "Ledger") -> int:
    """Count the multiply-accumulates of the convolutions alone."""
    return sum(layer.macs for layer in ledger.layers if layer.kind == "conv")


def gigas(count: int) -> str:
    """Write a large count in billions: `15.47`."""
    return f"{count / 1e9:.2f}"


CHECKS: tuple[Callable[[Catalogue], Claim], ...] = (
    alexnet_parameters,
    alexnet_neurons,
    alexnet_error,
    caffenet_is_one_stream,
    vgg_parameters,
    googlenet_twelve_times,
    googlenet_without_linear,
    googlenet_operations,
    resnet_is_cheaper,
    resnet50_operations,
)
