"""What sets the networks of these two families apart from each other, beyond what is counted in facts/."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from lightning_modules import registry
from lightning_modules.initialisation import without_numbers
from lightning_modules.networks.local_response_norm import LocalResponseNorm
from lightning_modules.schedules import Step

STREAMS = ("alexnet", "alexnet_one_stream", "caffenet")
FED_EARLY = ("conv2", "conv4", "conv5", "fc6", "fc7")


def build_without_numbers(key):
    with without_numbers():
        return registry.get(key).build()


def build_small(key):
    return registry.get(key).build(10, 64)


def find(network, kind):
    return {name: module for name, module in network.named_modules() if isinstance(module, kind)}


def kinds(stage):
    return [type(module) for module in stage]


def weighted(network):
    return find(network, nn.Conv2d | nn.Linear)


def shapes(network):
    return [tuple(tensor.shape) for tensor in network.state_dict().values()]


@pytest.mark.parametrize("key", ["alexnet", "alexnet_one_stream"])
def test_the_paper_normalises_before_it_pools(key):
    network = build_without_numbers(key)
    for stage, pool in ((network.conv1, network.pool1), (network.conv2, network.pool2)):
        assert kinds(stage)[-3:] == [nn.Conv2d, nn.ReLU, LocalResponseNorm]
        assert isinstance(pool, nn.MaxPool2d)


def test_caffenet_pools_before_it_normalises():
    network = build_without_numbers("caffenet")
    for stage, pool in ((network.conv1, network.pool1), (network.conv2, network.pool2)):
        assert kinds(stage)[-2:] == [nn.Conv2d, nn.ReLU]
        assert kinds(pool) == [nn.MaxPool2d, LocalResponseNorm]


@pytest.mark.parametrize(
    ("key", "k", "groups"),
    [("alexnet", 2.0, 2), ("alexnet_one_stream", 2.0, 1), ("caffenet", 1.0, 1), ("vgg11_lrn", 2.0, 1)],
)
def test_constants_of_local_response_normalisation(key, k, groups):
    norms = find(build_without_numbers(key), LocalResponseNorm).values()
    assert [(norm.k, norm.groups) for norm in norms] == [(k, groups)] * (1 if key == "vgg11_lrn" else 2)


@pytest.mark.parametrize(
    ("key", "groups"),
    [
        ("alexnet", [1, 2, 1, 2, 2]),
        ("caffenet", [1, 2, 1, 2, 2]),
        ("alexnet_one_stream", [1] * 5),
        ("alexnet_owt", [1] * 5),
    ],
)
def test_groups(key, groups):
    assert [layer.groups for layer in find(build_without_numbers(key), nn.Conv2d).values()] == groups


def test_one_stream_differs_in_groups_alone():
    def describe(module):
        text = repr(module).replace(", groups=2", "")
        return text if not list(module.children()) else type(module).__name__

    one, two = (build_without_numbers(key) for key in ("alexnet_one_stream", "alexnet"))
    assert [(name, describe(module)) for name, module in one.named_modules()] == [
        (name, describe(module)) for name, module in two.named_modules()
    ]
    parameters = zip(one.named_parameters(), two.named_parameters(), strict=True)
    wider = [name for (name, ours), (_, theirs) in parameters if ours.shape != theirs.shape]
    assert wider == ["conv2.0.weight", "conv4.0.weight", "conv5.0.weight"]
    recipes = [registry.get(key).recipes for key in ("alexnet_one_stream", "alexnet")]
    assert recipes[0] == recipes[1]


@pytest.mark.parametrize("key", STREAMS)
def test_initialisation_of_2012_and_of_caffe(key):
    hidden = 0.005 if key == "caffenet" else 0.01
    for name, layer in weighted(build_small(key)).items():
        std = hidden if name.startswith(("fc6", "fc7")) else 0.01
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03)
        assert abs(layer.weight.mean().item()) < 0.1 * std
        assert layer.bias.unique().tolist() == [float(name.startswith(FED_EARLY))]


def test_one_weird_trick_starts_as_torch_does():
    for layer in weighted(build_small("alexnet_owt")).values():
        bound = layer.weight[0].numel() ** -0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert 0.5 * bound < layer.bias.abs().max() <= bound


@torch.no_grad()
def test_caffenet_step_by_step():
    """By Caffe's files; images large, so that normalisation shows."""
    network = build_small("caffenet").eval()
    norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    parameters = iter(network.state_dict().values())

    def convolve(x, **how):
        return F.relu(F.conv2d(x, next(parameters), next(parameters), **how))

    images = 1000 * torch.randn(2, 3, 64, 64)
    x = norm(F.max_pool2d(convolve(F.pad(images, (0, 3, 0, 3)), stride=4), 3, 2))
    x = norm(F.max_pool2d(convolve(x, padding=2, groups=2), 3, 2))
    x = convolve(convolve(convolve(x, padding=1), padding=1, groups=2), padding=1, groups=2)
    x = F.max_pool2d(x, 3, 2).flatten(1)
    for _ in range(2):
        x = F.relu(F.linear(x, next(parameters), next(parameters)))
    expected = F.linear(x, next(parameters), next(parameters))
    torch.testing.assert_close(network(images), expected, rtol=1e-5, atol=1e-5)

    paper = build_small("alexnet").eval()
    paper.load_state_dict(network.state_dict())
    assert not torch.allclose(paper(images), expected, rtol=1e-2)


def test_the_solver_of_caffe():
    """450,000 iterations of 256 images, a tenth every 100,000, no decay of biases."""
    recipe = registry.get("caffenet").get_recipe("paper")
    assert (recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (0.01, 0.9, 5e-4)
    assert (recipe.batch_size, recipe.optimizer, recipe.decay_all) == (256, "sgd", False)
    assert recipe.epochs == round(450_000 * 256 / 1_281_167)
    assert recipe.schedule == Step(every_epochs=round(100_000 * 256 / 1_281_167), multiplier=0.1)


def test_one_local_response_normalisation_in_vgg11_lrn():
    network, plain = build_without_numbers("vgg11_lrn"), build_without_numbers("vgg11")
    assert kinds(network.conv1) == [nn.Conv2d, nn.ReLU, LocalResponseNorm]
    assert list(find(network, LocalResponseNorm)) == ["conv1.2"]
    assert not find(plain, LocalResponseNorm)
    assert shapes(network) == shapes(plain)


def test_three_small_kernels_in_configuration_c():
    c, b = (find(build_without_numbers(key), nn.Conv2d) for key in ("vgg16_c", "vgg13"))
    small = {name: layer for name, layer in c.items() if layer.kernel_size == (1, 1)}
    assert list(small) == ["conv3.4", "conv4.4", "conv5.4"]
    assert all(layer.padding == (0, 0) for layer in small.values())
    others = [repr(layer) for name, layer in c.items() if name not in small]
    assert others == [repr(layer) for layer in b.values()]


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_batch_normalisation_stands_between_convolution_and_relu(depth):
    plain, network = build_without_numbers(f"vgg{depth}"), build_without_numbers(f"vgg{depth}_bn")
    for number in range(1, 6):
        stage, plain_stage = (getattr(one, f"conv{number}") for one in (network, plain))
        assert kinds(stage) == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * (len(plain_stage) // 2)
        assert all(layer.bias is not None for layer in find(stage, nn.Conv2d).values())
    assert len(find(network, nn.BatchNorm2d)) == len(find(network, nn.Conv2d))


@pytest.mark.parametrize("key", ["vgg11", "vgg11_bn"])
def test_vgg_starts_from_glorot(key):
    for layer in weighted(build_small(key)).values():
        inputs, outputs = layer.weight[0].numel(), layer.weight[:, 0].numel()
        assert layer.weight.std().item() == pytest.approx((2 / (inputs + outputs)) ** 0.5, rel=0.03)
        assert not layer.bias.any()


def test_depth_counts_layers_with_weights():
    for key, one in registry.architectures().items():
        if one.family in ("AlexNet", "VGG"):
            assert len(weighted(build_without_numbers(key))) == one.depth
            assert one.keras_depth in (None, one.depth)


def torchvision_at_64(key, side):
    """torchvision's network without the average that hides the size of the last map."""
    with without_numbers():
        model = getattr(torchvision.models, key)(num_classes=10)
        (place, first), *_ = find(model.classifier, nn.Linear).items()
        channels = first.in_features // model.avgpool.output_size[0] ** 2
        model.classifier[int(place)] = nn.Linear(channels * side * side, 4096)
    model.avgpool = nn.Identity()
    return model


@pytest.mark.parametrize(
    ("key", "name", "side"), [("alexnet_owt", "alexnet", 1), ("vgg11_bn", "vgg11_bn", 2)]
)
@torch.no_grad()
def test_same_numbers_as_torchvision(key, name, side):
    network, other = build_small(key), torchvision_at_64(name, side)
    for norm in find(network, nn.BatchNorm2d).values():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    weights = dict(zip(other.state_dict().keys(), network.state_dict().values(), strict=True))
    other.load_state_dict(weights, assign=True)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network.eval()(images), other.eval()(images), rtol=1e-4, atol=1e-4)
    assert list(find(network, nn.Dropout)) == (
        ["fc6.1", "fc7.0"] if key == "alexnet_owt" else ["fc6.3", "fc7.2"]
    )


def test_who_has_a_counterpart_in_torchvision():
    names = {f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")}
    counterparts = {
        key: one.counterpart
        for key, one in registry.architectures().items()
        if one.family in ("AlexNet", "VGG")
    }
    found = {
        key: (counterpart.library, counterpart.name)
        for key, counterpart in counterparts.items()
        if counterpart
    }
    expected = {key: ("torchvision", key) for key in names} | {"alexnet_owt": ("torchvision", "alexnet")}
    assert found == expected
