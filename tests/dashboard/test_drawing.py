"""Drawings come from the networks themselves: every stage, branches, shortcuts, repetitions."""

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, nn

from dashboard.architectures.stage_bars import stage_bars
from dashboard.networks import catalogue
from dashboard.networks.drawing import describe, draw, legend
from dashboard.networks.parts import (
    TIMES,
    Box,
    DrawnStage,
    Parallel,
    Repeated,
    Series,
    boxes,
    fold,
    num_boxes,
)
from dashboard.networks.structure import read_structure
from dashboard.networks.thumbnail import thumbnail
from lightning_modules.ledger.table import measure_network

NETWORKS = {key: one for key, one in catalogue.architectures().items() if one.depth <= 152}
CONV = Box("conv", f"3{TIMES}3", 64, 56)
OTHER = Box("conv", f"1{TIMES}1", 64, 56)


def structure(key: str) -> tuple[DrawnStage, ...]:
    return catalogue.structure(key, None, None, {})


def parts(stages: Sequence[DrawnStage]) -> list[Box | Parallel]:
    return [part for stage in stages for repeated in stage.parts for part in repeated.parts]


def num_drawn(stages: Sequence[DrawnStage]) -> int:
    return sum(
        repeated.count * num_boxes(repeated.parts)
        for stage in stages
        if not stage.auxiliary
        for repeated in stage.parts
    )


def names(stages: Sequence[DrawnStage], known: Sequence[str]) -> list[str]:
    """The stages that the drawing names, those between the ends of `block5 to block12` included."""
    found: list[str] = []
    for stage in stages:
        ends = re.split(", | to ", stage.name)
        found += known[known.index(ends[0]) : known.index(ends[-1]) + 1] if ends[-1] in known else ends
    return found


@pytest.mark.parametrize("key", NETWORKS)
def test_every_network_is_drawn_with_every_stage_and_layer(key: str) -> None:
    stages, ledger = structure(key), catalogue.ledger(key, None, None, {})
    known = [stage.name for stage in ledger.stages]
    assert [name for name in names(stages, known) if name in known] == known
    layers = [layer for layer in ledger.layers if layer.kind not in ("norm", "lrn")]
    assert num_drawn(stages) >= len(layers)
    for text in (draw(NETWORKS[key].name, stages), legend(stages), thumbnail(stages), stage_bars(ledger)):
        ElementTree.fromstring(text)
    assert len(draw(NETWORKS[key].name, stages)) < 60_000, "a drawing is not made of 150 boxes"


@pytest.mark.parametrize("key", NETWORKS)
def test_only_residual_networks_have_shortcuts(key: str) -> None:
    is_residual = "Residual" in NETWORKS[key].paper.title and "plain" not in key
    drawn = draw(key, structure(key))
    assert ('class="arc"' in drawn) == (is_residual or key == "xception")
    assert ('class="arc"' in thumbnail(structure(key))) == (is_residual or key == "xception")


def test_an_inception_module_has_four_branches() -> None:
    modules = [part for part in parts(structure("googlenet")) if isinstance(part, Parallel)]
    assert len(modules) == 9
    assert {(len(module.branches), module.join) for module in modules} == {(4, "concat")}
    assert [num_boxes(branch) for branch in modules[0].branches] == [1, 2, 2, 2]


def test_auxiliary_heads_hang_where_they_begin() -> None:
    stages = structure("googlenet")
    after = [before.name for before, stage in pairwise(stages) if stage.auxiliary]
    assert after == ["inception4a", "inception4d"]
    assert draw("GoogLeNet", stages).count("in training only") >= 2


def test_a_repeated_block_is_drawn_once() -> None:
    stages = {stage.name: stage for stage in structure("resnet50")}
    first, others = stages["conv4"].parts
    assert (first.count, others.count) == (1, 5)
    (projected,), (block,) = first.parts, others.parts
    assert isinstance(projected, Parallel) and isinstance(block, Parallel)
    assert (num_boxes(projected.around), num_boxes(block.around)) == (1, 0)
    assert [box.label for box in boxes(block.worker)] == [f"1{TIMES}1", f"3{TIMES}3", f"1{TIMES}1"]
    assert f"{TIMES} 5" in draw("ResNet-50", tuple(stages.values()))


def test_the_streams_of_alexnet_are_groups() -> None:
    groups = [box.groups for box in boxes(tuple(parts(structure("alexnet")))) if box.kind == "conv"]
    assert groups == [1, 2, 1, 2, 2]


def test_what_is_typed_decides_on_the_sizes() -> None:
    stages = catalogue.structure("vgg16", 10, 64, {})
    assert [stage.size for stage in stages][0::13] == [f"64 {TIMES} 64 {TIMES} 64"]
    assert stages[-1].output_shape == (10,)


@pytest.mark.parametrize(
    ("series", "folded"),
    [
        ((), []),
        ((CONV,), [(1, 1)]),
        ((CONV, CONV, CONV), [(1, 3)]),
        ((CONV, OTHER, CONV, OTHER, CONV), [(2, 2), (1, 1)]),
        ((OTHER, CONV, CONV), [(1, 1), (1, 2)]),
        ((CONV, replace(CONV, stage="another")), [(1, 2)]),
    ],
)
def test_folding(series: Series, folded: list[tuple[int, int]]) -> None:
    assert [(len(one.parts), one.count) for one in fold(series)] == folded


def test_names_are_never_taken_for_markup() -> None:
    box = Box("<b>", '"><script>', 3, 8, norm="<i>")
    stage = DrawnStage("<script>&", (3, 8, 8), (Repeated((box, Parallel(((box,), ()), "add")), 2),))
    for text in (draw('<img src="x">', (stage,)), thumbnail((stage,))):
        root = ElementTree.fromstring(text)
        assert not {"script", "img", "b", "i"} & {element.tag for element in root.iter()}


def test_a_drawing_is_described_in_words() -> None:
    assert f"conv2: 2 times residual block, 64 {TIMES} 56 {TIMES} 56" in describe(structure("resnet18"))
    drawn = ElementTree.fromstring(draw("ResNet-18", structure("resnet18")))
    assert drawn.attrib["role"] == "img" and drawn.attrib["aria-label"].startswith(
        "ResNet-18, from the image"
    )


class Own(nn.Module):
    """A family file of somebody else, whose modules are called anything."""

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        x = torch.cat((self.left(x), self.right(x)), 1)
        result: Tensor = self.head(x)
        return result


class Wilful(Own):
    """One that looks at its numbers, which cannot be followed without any."""

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[0] > 1_000:
            return images
        return super().forward(images)


def test_a_network_of_ones_own_is_drawn_by_its_data() -> None:
    architecture = replace(NETWORKS["alexnet"], network=Own, options={})
    stages = read_structure(architecture, measure_network(meta(Own), 224))
    joined = [part for part in parts(stages) if isinstance(part, Parallel)]
    assert [(one.join, len(one.branches)) for one in joined] == [("concat", 2)]


def test_a_network_that_cannot_be_followed_has_a_box_a_stage() -> None:
    architecture = replace(NETWORKS["alexnet"], network=Wilful, options={})
    stages = read_structure(architecture, measure_network(meta(Wilful), 224))
    assert [stage.name for stage in stages] == ["stem", "left", "right", "head"]
    assert [type(part) for part in parts(stages)] == [Box] * 4
    ElementTree.fromstring(draw("own", stages))


def test_networks_run_in_other_threads_while_one_is_followed() -> None:
    ended = threading.Event()

    def follow() -> None:
        ledger = catalogue.ledger("resnet50", None, None, {})
        while not ended.is_set():
            read_structure(NETWORKS["resnet50"], ledger)

    follower = threading.Thread(target=follow)
    follower.start()
    network = meta(Own)
    try:
        for _ in range(100):
            assert network(torch.empty(2, 3, 16, 16, device="meta")).shape == (2, 10)
    finally:
        ended.set()
        follower.join()


def meta(network: type[nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return network(10, 224)
