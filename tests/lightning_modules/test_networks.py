"""Real forward passes: shapes, sizes, and the same numbers as networks written another way."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from lightning_modules import registry
from lightning_modules.initialisation import without_numbers
from lightning_modules.ledger.table import measure
from lightning_modules.problems import InvalidChoice
from tests.refusals import refused


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def assert_alike(found, expected, tolerance):
    """Equal in proportion to the largest: logits of a fresh network may be of any size."""
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


def test_training_adds_the_auxiliary_logits(network, size):
    outputs = as_tuple(network.train()(torch.randn(2, 3, size, size)))
    assert [tuple(output.shape) for output in outputs] == [(2, 10)] * (1 + len(network.auxiliary_weights))
    assert all(output.isfinite().all() for output in outputs)
    sum(output.sum() for output in outputs).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    network.zero_grad()


def test_evaluation_gives_logits_alone(network, size):
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        logits = network.eval()(images)
        assert logits.shape == (3, 10) and logits.isfinite().all() and logits.std() > 0
        assert torch.equal(network(images), logits)
        assert_alike(network(images[1:2]), logits[1:2], 1e-4)


def test_the_input_stays_as_it_was(network, size):
    images = torch.randn(2, 3, size, size)
    before = images.clone()
    with torch.no_grad():
        network.eval()(images)
    assert torch.equal(images, before)


def test_bfloat16_agrees_roughly(architecture, network, size):
    """Rounding adds up like a random walk: with the root of the depth."""
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        exact = network.eval()(images)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(images)
    assert rough.dtype is torch.bfloat16
    assert_alike(rough.float(), exact, 0.05 * max(1, architecture.depth / 50) ** 0.5)


def test_channels_last_gives_the_same(network, size):
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = network.eval()(images)
        found = network(images.to(memory_format=torch.channels_last))
    assert_alike(found, expected, 1e-4)


def test_the_smallest_size_works(architecture):
    size = architecture.minimum_size
    network = architecture.build(10, size)
    outputs = as_tuple(network.train()(torch.randn(2, 3, size, size)))
    assert all(output.shape == (2, 10) and output.isfinite().all() for output in outputs)
    assert network.eval()(torch.randn(1, 3, size, size)).shape == (1, 10)


def test_one_pixel_less_is_refused(architecture):
    size = architecture.minimum_size
    for build in (architecture.build, lambda *args: measure(architecture.key, *args)):
        with refused(InvalidChoice.IMAGE_TOO_SMALL, image_size=size - 1, smallest=size):
            build(10, size - 1)


def test_any_larger_size_works(architecture):
    """The fully connected layers have to fit maps of every size, with every rounding on the way."""
    smallest = architecture.minimum_size
    for size in (smallest + 1, smallest + 9, smallest + 22, 227):
        with without_numbers(), torch.no_grad():
            logits = architecture.build(10, size).eval()(torch.empty(1, 3, size, size))
        assert logits.shape == (1, 10)


def respond(x, k, groups=1):
    norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=k)
    return torch.cat([norm(part) for part in x.chunk(groups, 1)], 1)


def alexnet_by_hand(weights, x, streams):
    """The network of 2012, from the paper's words; images large, so that normalisation shows."""
    parameters = iter(weights.values())

    def convolve(x, padding, groups):
        return F.relu(F.conv2d(x, next(parameters), next(parameters), padding=padding, groups=groups))

    x = F.relu(F.conv2d(x, next(parameters), next(parameters), stride=4))
    x = F.max_pool2d(respond(x, 2.0, streams), 3, 2)
    x = F.max_pool2d(respond(convolve(x, 2, 2), 2.0, streams), 3, 2)
    x = convolve(convolve(convolve(x, 1, 1), 1, 2), 1, 2)
    x = F.max_pool2d(x, 3, 2).flatten(1)
    x = F.relu(F.linear(x, next(parameters), next(parameters)))
    x = F.relu(F.linear(x, next(parameters), next(parameters)))
    return F.linear(x, next(parameters), next(parameters))


@torch.no_grad()
def test_alexnet_step_by_step():
    network = registry.get("alexnet").build(10, 64).eval()
    images = 1000 * torch.randn(2, 3, 64, 64)
    padded = F.pad(images, (0, 3, 0, 3))
    logits = network(images)
    torch.testing.assert_close(alexnet_by_hand(network.state_dict(), padded, 2), logits, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(alexnet_by_hand(network.state_dict(), padded, 1), logits, rtol=1e-5, atol=1e-5)


def googlenet_by_hand(weights, x):
    """Table 1 and figure 3 of the paper, its heads at the places the text gives them."""

    def convolve(name, x, **how):
        return F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how))

    def pool(x):
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def inception(number, x):
        name = f"inception{number}"
        three = convolve(f"{name}.branch2.2", convolve(f"{name}.branch2.0", x), padding=1)
        five = convolve(f"{name}.branch3.2", convolve(f"{name}.branch3.0", x), padding=2)
        projected = convolve(f"{name}.branch4.1", F.max_pool2d(x, 3, 1, padding=1))
        return torch.cat([convolve(f"{name}.branch1", x), three, five, projected], 1)

    def head(number, x):
        x = convolve(f"auxiliary{number}.1", F.avg_pool2d(x, 5, 3, ceil_mode=True)).flatten(1)
        name = f"auxiliary{number}"
        x = F.relu(F.linear(x, weights[f"{name}.4.weight"], weights[f"{name}.4.bias"]))
        return F.linear(x, weights[f"{name}.7.weight"], weights[f"{name}.7.bias"])

    x = respond(pool(convolve("conv1.0", x, stride=2, padding=3)), 1.0)
    x = pool(respond(convolve("conv2.2", convolve("conv2.0", x), padding=1), 1.0))
    x = pool(inception("3b", inception("3a", x)))
    after_4a = inception("4a", x)
    after_4d = inception("4d", inception("4c", inception("4b", after_4a)))
    x = pool(inception("4e", after_4d))
    x = inception("5b", inception("5a", x)).mean((2, 3))
    return F.linear(x, weights["fc.weight"], weights["fc.bias"]), head(1, after_4a), head(2, after_4d)


@torch.no_grad()
def test_googlenet_step_by_step():
    network = registry.get("googlenet").build(10, 64)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images = 100 * torch.randn(2, 3, 64, 64)
    expected = googlenet_by_hand(network.state_dict(), images)
    for found, wanted in zip(network.train()(images), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(network.eval()(images), expected[0], rtol=1e-3, atol=1e-3)


def torchvision_vgg16():
    with without_numbers():
        model = torchvision.models.vgg16(num_classes=10, init_weights=False)
        model.classifier[0] = nn.Linear(512 * 2 * 2, 4096)
    model.avgpool = nn.Identity()
    return model


@pytest.mark.parametrize(
    ("key", "options", "build"),
    [
        ("vgg16", {}, torchvision_vgg16),
        ("resnet18", {}, lambda: torchvision.models.resnet18(num_classes=10)),
        ("resnet50", {"stride_on": "3x3"}, lambda: torchvision.models.resnet50(num_classes=10)),
    ],
)
@torch.no_grad()
def test_same_numbers_as_torchvision(key, options, build):
    network, other = registry.get(key).build(10, 64, **options), build()
    names = other.state_dict().keys()
    weights = dict(zip(names, network.state_dict().values(), strict=True))
    other.load_state_dict(weights, assign=True)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network.eval()(images), other.eval()(images), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_two_strides_differ_in_numbers_alone():
    resnet50 = registry.get("resnet50")
    first, second = resnet50.build(10, 64), resnet50.build(10, 64, stride_on="3x3")
    second.load_state_dict(first.state_dict())
    images = torch.randn(1, 3, 64, 64)
    assert not torch.allclose(first.eval()(images), second.eval()(images), rtol=0.01)
