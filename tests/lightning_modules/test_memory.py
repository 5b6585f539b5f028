"""The estimate of training memory: its parts by arithmetic, its sum by training."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from benchmarks.memory import measure_apart
from lightning_modules import registry
from lightning_modules.ledger import training_memory
from lightning_modules.ledger.table import measure
from lightning_modules.ledger.training_memory import estimate
from lightning_modules.problems import InvalidChoice
from lightning_modules.recipes import build_optimizer
from tests.refusals import refused

MEGABYTE = 2**20


def test_parts_by_hand():
    """VGG-16 with 16 photographs: its parameters three times over, its maps, the images."""
    parts = estimate("vgg16", batch_size=16, recipe="paper")
    weights = 4 * 138_357_544
    assert (parts.parameters, parts.gradients, parts.optimizer_state) == (weights,) * 3
    assert parts.weight_copies == 0
    assert parts.activations == measure("vgg16").activation_bytes(16)
    # A byte and a float32 for each value of each pixel.
    assert parts.images == 16 * 3 * 224 * 224 * (1 + 4)
    # The first two convolutions have the largest maps.
    assert parts.workspace == 2 * 16 * 64 * 224 * 224 * 4
    assert parts.overhead == round(0.3 * parts.activations) + 50 * MEGABYTE
    assert parts.counted == 3 * weights + parts.activations + parts.images
    assert parts.total == sum(asdict(parts).values()) == parts.counted + parts.workspace + parts.overhead


def test_half_precision():
    """Weights, gradients and state stay in float32; copies of the weights come on top, maps halve."""
    full, half = (estimate("vgg16", batch_size=16, precision=one) for one in ("32-true", "bf16-mixed"))
    for part in ("parameters", "gradients", "optimizer_state", "images"):
        assert getattr(half, part) == getattr(full, part)
    biases = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 4096 + 1000
    assert half.weight_copies == 2 * (138_357_544 - biases)
    assert half.workspace * 2 == full.workspace
    assert half.activations == measure("vgg16").activation_bytes(16, "bf16-mixed") < full.activations
    assert asdict(estimate("vgg16", batch_size=16, precision="16-mixed")) == asdict(half)


def test_statistics_and_heads_count():
    parts, ledger = estimate("googlenet_bn"), measure("googlenet_bn")
    assert parts.gradients == 4 * ledger.parameters_with_auxiliary > 4 * ledger.parameters
    assert parts.parameters - parts.gradients == 4 * ledger.running_statistics_with_auxiliary > 0


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"optimizer": "sgd", "momentum": 0.9}, 1),
        ({"optimizer": "sgd", "momentum": 0.0}, 0),
        ({"optimizer": "adamw"}, 2),
        ({"optimizer": "rmsprop", "momentum": 0.9}, 2),
        ({"optimizer": "rmsprop", "momentum": 0.0}, 1),
    ],
)
def test_states_are_what_the_optimiser_keeps(changes, states):
    recipe = replace(registry.get("alexnet").get_recipe("paper"), nesterov=False, **changes)
    layer = nn.Linear(30, 40)
    optimizer = build_optimizer(recipe, layer)
    layer(torch.ones(1, 30)).sum().backward()
    optimizer.step()
    kept = [
        value
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor) and value.ndim
    ]
    assert sum(value.numel() for value in kept) == states * (30 * 40 + 40)
    assert training_memory.count_states(recipe) == states


def test_what_a_recipe_decides():
    paper, quick = (estimate("alexnet", 10, 64, recipe=name) for name in ("paper", "quick"))
    assert quick.optimizer_state == 2 * paper.optimizer_state
    batch_sizes = [registry.get("alexnet").get_recipe(name).batch_size for name in ("paper", "quick")]
    assert paper.activations * batch_sizes[1] == quick.activations * batch_sizes[0]


def test_options_and_defaults():
    one, other = (estimate("resnet50", options={"stride_on": where}) for where in ("1x1", "3x3"))
    assert other.activations > one.activations and other.parameters == one.parameters
    architecture = registry.get("resnet50")
    assert estimate("resnet50", 1000, 224, architecture.get_recipe("quick").batch_size) == one


def test_memory_grows_with_the_batch(architecture, size):
    small, large = (estimate(architecture.key, 10, size, batch_size) for batch_size in (8, 16))
    for part in ("activations", "images", "workspace"):
        assert getattr(large, part) == 2 * getattr(small, part)
    assert large.parameters == small.parameters
    assert all(value >= 0 for value in asdict(small).values())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"key": "lenet"}, InvalidChoice.SIMILAR_NETWORK),
        ({"precision": "64-true"}, InvalidChoice.PRECISION),
        ({"recipe": "slow"}, InvalidChoice.NO_RECIPE),
        ({"batch_size": 0}, InvalidChoice.BATCH_SIZE),
        ({"image_size": 3}, InvalidChoice.IMAGE_TOO_SMALL),
        ({"options": {"colour": "red"}}, InvalidChoice.NO_OPTION),
    ],
)
def test_nonsense_is_refused(arguments, code):
    with refused(code):
        estimate(**({"key": "alexnet"} | arguments))


def test_training_takes_what_is_estimated():
    """Most of a gigabyte, where what any process needs does not blur the picture."""
    peak = measure_apart("vgg11", 32, 64, "32-true", "quick")
    expected = estimate("vgg11", image_size=64, batch_size=32)
    assert 700 * MEGABYTE < expected.counted < peak
    assert expected.total == pytest.approx(peak, rel=0.15)
