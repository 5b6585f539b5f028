"""ResNets: shortcuts by option, plain counterparts, agreement with torchvision, and real depth."""

import math
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from lightning_modules import registry
from lightning_modules.initialisation import without_numbers
from lightning_modules.ledger.table import measure
from lightning_modules.networks import cifar_resnet, resnet
from lightning_modules.networks.resnet import ResidualBlock, ZeroPadding
from lightning_modules.published import CIFAR_TEST, TEN_CROPS, VAL, WHOLE
from lightning_modules.schedules import Milestones

FACTS = {}
for name in ("resnet", "cifar"):
    FACTS |= tomllib.loads(Path(__file__).with_name("facts").joinpath(f"{name}.toml").read_text())

NETWORKS = {one.key: one for one in (*resnet.ARCHITECTURES, *cifar_resnet.ARCHITECTURES)}
PLAIN = [key for key in NETWORKS if "plain" in key]
RESIDUAL = [key for key in NETWORKS if "resnet" in key]
DEEP = ["resnet50", "resnet101", "resnet152"]
SHORTCUTS = [(key, option) for key in RESIDUAL for option in NETWORKS[key].options["shortcut"]]
SMALL = ["resnet18", "resnet50", "cifar_resnet20"]


@lru_cache
def build_meta(key, **options):
    """Shared, and without numbers: a thousand layers take a second."""
    with without_numbers():
        return registry.get(key).build(**options)


def blocks_of(network):
    return [module for module in network.modules() if isinstance(module, ResidualBlock)]


def norms_of(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def give_statistics(network):
    """Puts all that normalisation can do into an evaluation: fresh ones do nothing."""
    for norm in norms_of(network):
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 1.5, 2.5)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
    return network


def test_all_are_here():
    assert set(NETWORKS) == set(FACTS)
    assert all(registry.get(key) is one for key, one in NETWORKS.items())


@pytest.mark.parametrize(("key", "option"), SHORTCUTS)
def test_costs_of_shortcuts(key, option):
    expected = FACTS[key]["shortcut"][option]
    ledger = measure(key, shortcut=option)
    assert (ledger.parameters, ledger.macs) == (expected["parameters"], expected["macs"])
    assert ledger.running_statistics == expected["running_statistics"]
    statistics = sum(2 * norm.num_features for norm in norms_of(build_meta(key, shortcut=option)))
    assert statistics == expected["running_statistics"]


@pytest.mark.parametrize(("key", "option"), SHORTCUTS)
def test_which_shortcuts_project(key, option):
    blocks = blocks_of(build_meta(key, shortcut=option))
    kinds = [type(block.shortcut) for block in blocks]
    changes = [block.residual[0].in_channels != block.residual[-1].num_features for block in blocks]
    where = {"A": (ZeroPadding, nn.Identity), "B": (nn.Sequential, nn.Identity), "C": (nn.Sequential,) * 2}
    changing, keeping = where[option]
    assert kinds == [changing if change else keeping for change in changes]
    assert sum(changes) == (3 if key in ("resnet18", "resnet34") else 4 if key in DEEP else 2)
    if option == "A":
        assert not any(list(block.shortcut.parameters()) for block in blocks)


@pytest.mark.parametrize("key", RESIDUAL)
def test_the_default_shortcut(key):
    default = registry.get(key).options["shortcut"][0]
    assert default == ("A" if key.startswith("cifar") else "B")
    facts, expected = FACTS[key], FACTS[key]["shortcut"][default]
    assert all(facts[name] == value for name, value in expected.items())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [8, 7, 1])
def test_padding_by_hand(stride, size):
    images = torch.randn(2, 3, size, size)
    side = math.ceil(size / stride)
    expected = torch.zeros(2, 5, side, side)
    for row in range(side):
        for column in range(side):
            expected[:, :3, row, column] = images[:, :, stride * row, stride * column]
    assert torch.equal(ZeroPadding(3, 5, stride)(images), expected)


def test_padding_is_a_projection_that_has_learnt_nothing():
    """The same as a 1x1 convolution whose weights are ones on the diagonal."""
    images = torch.randn(2, 4, 6, 6)
    weight = torch.eye(8, 4)[:, :, None, None]
    assert torch.equal(ZeroPadding(4, 8, 2)(images), F.conv2d(images, weight, stride=2))


def run_by_hand(weights, images, depth, residual):
    """The networks of section 4.2 from their text; layers by name, figures from the weights alone."""

    def convolve(name, index, x, stride=1):
        x = F.conv2d(x, weights[f"{name}.{index}.weight"], stride=stride, padding=1)
        norm = f"{name}.{index + 1}"
        mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        return F.batch_norm(x, mean, variance, weights[f"{norm}.weight"], weights[f"{norm}.bias"])

    x = F.relu(convolve("conv1", 0, images))
    for stage in (2, 3, 4):
        for index in range((depth - 2) // 6):
            stride = 2 if stage > 2 and index == 0 else 1
            name = f"conv{stage}.{index}" + (".residual" if residual else "")
            inside = convolve(name, 3, F.relu(convolve(name, 0, x, stride)))
            if residual:
                past = x[:, :, ::stride, ::stride]
                inside = inside + torch.cat([past, torch.zeros_like(past)], 1)[:, : inside.shape[1]]
            x = F.relu(inside)
    return F.linear(x.mean((2, 3)), weights["fc.weight"], weights["fc.bias"])


@pytest.mark.parametrize("key", ["cifar_resnet20", "cifar_resnet32", "cifar_plain20", "cifar_plain32"])
@torch.no_grad()
def test_step_by_step(key):
    architecture = registry.get(key)
    network = give_statistics(architecture.build()).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = run_by_hand(network.state_dict(), images, architecture.depth, residual="resnet" in key)
    assert expected.std() > 0
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("key", PLAIN)
def test_plain_counterparts_cost_what_option_a_does(key):
    counterpart = key.replace("plain", "resnet")
    plain, residual = measure(key), measure(counterpart, shortcut="A")
    assert (plain.parameters, plain.macs) == (residual.parameters, residual.macs)
    networks = build_meta(key), build_meta(counterpart, shortcut="A")
    shapes = [[parameter.shape for parameter in network.parameters()] for network in networks]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("key", PLAIN)
def test_a_relu_after_every_convolution(key):
    network = build_meta(key)
    kinds = [type(module) for module in network.modules() if not list(module.children())]
    convolutions = kinds.count(nn.Conv2d)
    assert convolutions == registry.get(key).depth - 1
    for index, kind in enumerate(kinds):
        if kind is nn.Conv2d:
            assert kinds[index : index + 3] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds.count(nn.ReLU) == kinds.count(nn.BatchNorm2d) == convolutions
    assert all(
        type(module) in (nn.Sequential, resnet.ResNet)
        for module in network.modules()
        if list(module.children())
    )


@torch.no_grad()
def test_shortcuts_are_all_that_plain_networks_lack():
    """With branches that put out nothing, only a residual network still sees its input."""
    images = torch.rand(2, 3, 32, 32)
    seen = []
    for key in ("cifar_plain20", "cifar_resnet20"):
        network = registry.get(key).build().eval()
        for norm in norms_of(network)[2::2]:
            nn.init.zeros_(norm.weight)
        logits = network(images)
        seen.append(not torch.equal(logits[0], logits[1]))
    assert seen == [False, True]


def count_depth(module):
    if isinstance(module, nn.Conv2d | nn.Linear):
        return 1
    children = [count_depth(child) for child in module.children()]
    return max(children, default=0) if isinstance(module, ResidualBlock) else sum(children)


@pytest.mark.parametrize("key", NETWORKS)
def test_depth_is_that_of_the_longest_path(key):
    architecture = registry.get(key)
    assert count_depth(build_meta(key)) == architecture.depth == FACTS[key]["depth"]
    assert architecture.name.endswith(f"-{architecture.depth}")


@pytest.mark.parametrize("key", DEEP)
def test_depth_as_keras_counts(key):
    """Every layer that holds weights, projections and normalisations among them."""
    network = build_meta(key)
    holders = [
        module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    ]
    assert len(holders) == registry.get(key).keras_depth == FACTS[key]["keras_depth"]


@pytest.mark.parametrize("key", DEEP)
def test_what_is_said_about_keras(key):
    """Biases of convolutions and running statistics make up the difference."""
    architecture, facts = registry.get(key), FACTS[key]
    convolutions = [module for module in build_meta(key).modules() if isinstance(module, nn.Conv2d)]
    biases = sum(convolution.out_channels for convolution in convolutions)
    total = facts["parameters"] + biases + facts["running_statistics"]
    assert (biases, total) == tuple(facts["keras"])
    torchvision_says, keras_says = architecture.differences
    assert f"{biases:,} parameters" in keras_says and f"{total:,}." in keras_says
    assert f"{facts['macs_3x3']:,} multiply-accumulates" in torchvision_says


@pytest.mark.parametrize("key", ["resnet18", "resnet34", *DEEP])
def test_counterparts_in_torchvision(key):
    counterpart = registry.get(key).counterpart
    assert (counterpart.library, counterpart.name) == ("torchvision", key)
    assert counterpart.options == ({"stride_on": "3x3"} if key in DEEP else {})
    with without_numbers():
        other = getattr(torchvision.models, key)()
    ours = build_meta(key, **counterpart.options).state_dict().values()
    assert [value.shape for value in ours] == [value.shape for value in other.state_dict().values()]


@pytest.mark.parametrize("key", ["resnet34", "resnet101", "resnet152"])
@torch.no_grad()
def test_same_numbers_as_torchvision(key):
    architecture = registry.get(key)
    network = give_statistics(architecture.build(10, 64, **architecture.counterpart.options)).eval()
    with without_numbers():
        other = getattr(torchvision.models, key)(num_classes=10)
    weights = dict(zip(other.state_dict(), network.state_dict().values(), strict=True))
    other.load_state_dict(weights, assign=True)
    images = torch.randn(2, 3, 64, 64)
    expected = other.eval()(images)
    assert expected.isfinite().all() and not torch.allclose(expected[0], expected[1])
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize("key", SMALL)
def test_every_shortcut_trains(key, option):
    architecture = registry.get(key)
    if option not in architecture.options["shortcut"]:
        pytest.skip("the paper has no such network")
    network = architecture.build(10, 33, shortcut=option).train()
    network(torch.randn(2, 3, 33, 33)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("key", [key for key in NETWORKS if key.startswith("cifar")])
def test_published_for_cifar(key):
    for one in registry.get(key).published:
        assert (one.split, one.protocol, one.models, one.top5) == (CIFAR_TEST, WHOLE, 1, None)
        assert one.source.startswith("He 2015, Table 6")
    assert bool(registry.get(key).published) == ("resnet" in key)


def test_the_best_run_of_110_layers_comes_first():
    best, mean = registry.get("cifar_resnet110").published
    assert (best.top1, mean.top1) == (6.43, 6.61)


@pytest.mark.parametrize("key", [key for key in NETWORKS if key.startswith("cifar")])
def test_recipe_for_cifar(key):
    recipe, facts = registry.get(key).get_recipe("paper"), FACTS[key]
    for name, value in (facts.get("recipe") or facts["recipe_with_warmup"]).items():
        if name != "schedule":
            assert getattr(recipe, name) == value
    assert recipe.schedule == Milestones(at=(0.5, 0.75), multiplier=0.1)
    assert recipe.augmentation == "cifar"
    assert recipe.epochs == round(64_000 * recipe.batch_size / 45_000)
    warm = key in ("cifar_resnet110", "cifar_resnet1202")
    assert (recipe.warmup_epochs, recipe.warmup_factor) == ((1, 0.1) if warm else (0, None))


@pytest.mark.parametrize("key", [key for key in NETWORKS if not key.startswith("cifar")])
def test_the_reference_is_of_the_default_or_says_otherwise(key):
    reference = registry.get(key).reference
    assert (reference.protocol, reference.split, reference.models) == (TEN_CROPS, VAL, 1)
    assert reference.trained_by == "authors" and reference.source.startswith("He 2015")
    assert reference.options == {"resnet18": {"shortcut": "A"}, "resnet34": {"shortcut": "B"}}.get(key, {})


def test_the_degradation_that_shortcuts_cure():
    """Section 4.1: table 2, where all have the same parameters at each depth."""

    def error(key):
        return next(one.top1 for one in registry.get(key).published if "2" in one.source.split("Table")[1])

    plain18, plain34, resnet18, resnet34 = map(error, ("plain18", "plain34", "resnet18", "resnet34"))
    assert round(plain34 - plain18, 2) == 0.60
    assert (round(resnet18 - resnet34, 2), round(plain34 - resnet34, 2)) == (2.85, 3.51)


@torch.no_grad()
def test_1202_layers_need_statistics_before_they_evaluate():
    """Fresh, each of 600 blocks doubles the variance; statistics of one's own images put that right."""
    network = registry.get("cifar_resnet1202").build(10, 8)
    images = torch.randn(8, 3, 8, 8)
    assert not network.eval()(images).isfinite().all()
    for norm in norms_of(network):
        norm.momentum = None  # the mean of all batches seen, here of one
    network.train()(images)
    assert network.eval()(images).isfinite().all()
