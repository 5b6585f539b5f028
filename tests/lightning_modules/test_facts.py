"""The networks against what was published about them, at the paper's input size and number of classes."""

import pytest
from torch import nn

from lightning_modules import registry
from lightning_modules.initialisation import without_numbers
from lightning_modules.ledger.table import measure


@pytest.fixture
def ledger(architecture):
    return measure(architecture.key)


def fact(facts, name):
    if name not in facts:
        pytest.skip(f"no published {name}")
    return facts[name]


def count(network, *excluded):
    parameters = network.named_parameters()
    return sum(parameter.numel() for name, parameter in parameters if not name.startswith(excluded))


def test_the_networks_that_won_are_here():
    assert {"alexnet", "vgg16", "googlenet", "resnet18", "resnet50"} <= set(registry.architectures())


def test_parameters(full_size, ledger, facts):
    parameters = fact(facts, "parameters")
    with_heads = facts.get("parameters_with_auxiliary", parameters)
    assert (ledger.parameters, ledger.parameters_with_auxiliary) == (parameters, with_heads)
    assert (count(full_size), count(full_size, "auxiliary")) == (with_heads, parameters)
    assert all(parameter.requires_grad for parameter in full_size.parameters())


def test_weights_without_biases(full_size, facts):
    expected = fact(facts, "weights")
    weights = sum(parameter.numel() for parameter in full_size.parameters() if parameter.ndim > 1)
    assert weights == facts.get("weights_with_auxiliary", expected)


def test_multiply_accumulates(ledger, facts):
    macs = fact(facts, "macs")
    assert ledger.macs == macs
    heads = sum(layer.macs for layer in ledger.auxiliary_layers)
    assert ledger.macs + heads == facts.get("macs_with_auxiliary", macs)


def test_multiply_accumulates_of_convolutions(ledger, facts):
    assert sum(layer.macs for layer in ledger.layers if layer.kind == "conv") == fact(facts, "conv_macs")


def test_units(ledger, facts):
    assert ledger.units == fact(facts, "units")


def test_stages(ledger, facts):
    stages = [[stage.name, list(stage.output_shape), stage.parameters, stage.macs] for stage in ledger.stages]
    assert stages == fact(facts, "stages")


def test_layers(ledger, facts):
    expected = fact(facts, "weighted_layers")
    layers = [layer for layer in ledger.layers if layer.kind in ("conv", "linear")]
    assert [[list(layer.output_shape), layer.parameters, layer.macs] for layer in layers] == expected


def test_order_of_layers(ledger, facts):
    expected = fact(facts, "order")
    assert [layer.kind for layer in ledger.layers][: len(expected)] == expected


def test_running_statistics(full_size, ledger, facts):
    norms = [module for module in full_size.modules() if isinstance(module, nn.BatchNorm2d)]
    statistics = sum(norm.running_mean.numel() + norm.running_var.numel() for norm in norms)
    assert statistics == ledger.running_statistics_with_auxiliary == fact(facts, "running_statistics")


def test_epsilon_of_normalisation(full_size, facts):
    norms = [module for module in full_size.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} <= {facts.get("norm_eps", 1e-5)}


def test_dropout(full_size, facts):
    rates = [module.p for module in full_size.modules() if isinstance(module, nn.Dropout)]
    assert sorted(rates) == fact(facts, "dropout")


def test_weights_of_auxiliary_losses(full_size, facts):
    assert list(full_size.auxiliary_weights) == fact(facts, "auxiliary_weights")


def test_each_auxiliary_head(full_size, facts):
    heads = [child for name, child in full_size.named_children() if name.startswith("auxiliary")]
    assert [count(head) for head in heads] == fact(facts, "auxiliary_parameters")


def test_maps_of_googlenets_heads():
    shapes = [layer.output_shape for layer in measure("googlenet").auxiliary_layers]
    assert shapes == [(512, 4, 4), (128, 4, 4), (1024,), (1000,), (528, 4, 4), (128, 4, 4), (1024,), (1000,)]


def test_stride_of_bottlenecks(architecture, facts):
    later = fact(facts, "macs_3x3")
    for options, macs in (
        ({}, facts["macs"]),
        ({"stride_on": "1x1"}, facts["macs"]),
        ({"stride_on": "3x3"}, later),
    ):
        ledger = measure(architecture.key, **options)
        assert (ledger.macs, ledger.parameters) == (macs, facts["parameters"])
        assert [list(stage.output_shape) for stage in ledger.stages] == [
            stage[1] for stage in facts["stages"]
        ]


def test_alexnet_at_the_size_of_caffe():
    paper, caffe = measure("alexnet", image_size=224), measure("alexnet", image_size=227)
    assert paper == caffe
    assert [stage.output_shape[-1] for stage in caffe.stages[:8]] == [55, 27, 27, 13, 13, 13, 13, 6]


def test_what_the_streams_save():
    """Without groups, as in the variant of one stream, AlexNet would have 62,378,344 parameters."""
    with without_numbers():
        network = registry.get("alexnet").build()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [convolution.groups for convolution in convolutions] == [1, 2, 1, 2, 2]
    saved = sum(module.weight.numel() * (module.groups - 1) for module in convolutions)
    assert count(network) + saved == 62_378_344


def test_year(architecture, facts):
    assert architecture.year == architecture.paper.year == facts["year"]


def test_published_errors(architecture, facts):
    expected = {tuple(None if value == "" else value for value in row) for row in fact(facts, "published")}
    found = [(str(one.protocol), one.split, one.models, one.top1, one.top5) for one in architecture.published]
    assert set(found) == expected and len(found) == len(expected)


def test_paper_recipe(architecture, facts):
    """What the source does not mention is the plain case: SGD without any of the later inventions."""
    recipe = architecture.get_recipe("paper")
    plain = {
        "optimizer": "sgd",
        "nesterov": False,
        "gradient_clip": None,
        "decay_all": True,
        "warmup_epochs": 0,
        "label_smoothing": 0.0,
    }
    expected = plain | fact(facts, "recipe")
    schedule = expected.pop("schedule", {})
    assert {name: getattr(recipe, name) for name in expected} == expected
    assert {name: getattr(recipe.schedule, name) for name in schedule} == schedule
