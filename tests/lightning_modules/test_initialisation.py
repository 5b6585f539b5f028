"""Fresh weights follow the distribution that each paper, or its authors' files, give."""

import math

import pytest
import torch
from torch import nn

from lightning_modules import registry
from lightning_modules.classifier import ImageClassifier


def networks(*keys):
    """Those of a family that start alike; what differs in the others is tested beside them."""
    found = [registry.get(key) for key in keys]
    return pytest.mark.parametrize("architecture", found, indirect=True, ids=lambda one: one.key)


@pytest.fixture
def layers(network):
    named = network.named_modules()
    return {name: layer for name, layer in named if isinstance(layer, nn.Conv2d | nn.Linear)}


def fans(layer):
    width, channels, *kernel = layer.weight.shape
    return channels * math.prod(kernel), width * math.prod(kernel)


@torch.no_grad()
def assert_normal(weight, std):
    count = weight.numel()
    assert abs(float(weight.mean())) < 5 * std / math.sqrt(count)
    assert float(weight.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * count))
    assert float(weight.abs().max()) > 2.5 * std  # a uniform distribution ends at 1.73


@torch.no_grad()
def assert_uniform(weight, variance):
    count, limit = weight.numel(), math.sqrt(3 * variance)
    assert abs(float(weight.mean())) < 5 * math.sqrt(variance / count)
    assert float(weight.var()) == pytest.approx(variance, rel=5 / math.sqrt(count))
    assert 0.98 * limit < float(weight.abs().max()) <= limit * (1 + 1e-6)


@networks("alexnet", "alexnet_one_stream")
def test_alexnet(layers):
    for layer in layers.values():
        assert_normal(layer.weight, 0.01)
    biases = {name.split(".")[0]: layer.bias.unique().tolist() for name, layer in layers.items()}
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert biases == {
        name: [1.0] if name in ones else [0.0]
        for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
    }


@networks("vgg11", "vgg16", "vgg16_c", "vgg11_lrn")
def test_glorot(layers):
    for layer in layers.values():
        assert_uniform(layer.weight, 2 / sum(fans(layer)))
        assert not layer.bias.any()


@networks("googlenet")
def test_googlenet(layers):
    for layer in layers.values():
        assert_uniform(layer.weight, 1 / fans(layer)[0])
    classifiers = [layer for layer in layers.values() if layer.weight.shape[0] == 10]
    assert len(classifiers) == 3
    for layer in layers.values():
        expected = 0.0 if layer in classifiers else 0.2
        assert layer.bias.unique().tolist() == pytest.approx([expected])


@networks("resnet18", "resnet50", "plain34", "cifar_resnet20", "cifar_plain20")
def test_he(layers, network):
    *convolutions, classifier = layers.values()
    for layer in convolutions:
        assert layer.bias is None
        assert_normal(layer.weight, math.sqrt(2 / fans(layer)[1]))
    assert_normal(classifier.weight, 0.01)
    assert not classifier.bias.any()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == len(convolutions)
    assert all((norm.weight == 1).all() and not norm.bias.any() for norm in norms)


def test_every_network_starts_undecided(network):
    """No weight is left as allocated: all finite, none of a matrix all equal."""
    for parameter in network.parameters():
        assert parameter.isfinite().all()
        assert parameter.ndim == 1 or float(parameter.detach().std()) > 0


@pytest.mark.parametrize("recipe", ["quick", "modern", "paper"])
def test_our_own_recipes_start_from_he(recipe):
    torch.manual_seed(0)
    model = ImageClassifier("alexnet", num_classes=10, image_size=64, recipe=recipe)
    weight = model.network.fc7[0].weight
    assert_normal(weight, 0.01 if recipe == "paper" else math.sqrt(2 / fans(model.network.fc7[0])[0]))
    biased = (model.network.conv2[0], model.network.fc7[0])
    biases = {float(layer.bias.detach().abs().max()) for layer in biased}
    assert biases == ({1.0} if recipe == "paper" else {0.0})
