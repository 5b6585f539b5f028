"""The Inception networks against the same ones in other libraries, weights carried over in their order."""

import pytest
import torch
import torchvision
from torch import nn

from lightning_modules import registry
from lightning_modules.classifier import ImageClassifier
from lightning_modules.initialisation import draw_he
from lightning_modules.ledger.table import measure
from lightning_modules.networks.inception import Classifier


@torch.no_grad()
def build(key, image_size, num_classes=10):
    """A network in double precision with numbers everywhere that training leaves any, and no dropout."""
    network = registry.get(key).build(num_classes, image_size)
    draw_he(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
            ):
                tensor.uniform_(low, high)
        elif isinstance(module, nn.Linear):
            module.bias.uniform_(-0.2, 0.2)
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    return network.double()


def split(state, heads):
    """The tensors of the trunk and those of the heads, each in their order."""
    inside = [tensor for name, tensor in state.items() if name.startswith(heads)]
    return [tensor for name, tensor in state.items() if not name.startswith(heads)], inside


def carry_over(network, counterpart, heads=("aux",)):
    """Give the counterpart a copy of the network's weights; heads go to heads, if it has any."""
    trunk, inside = split(network.state_dict(), ("auxiliary",))
    state = counterpart.state_dict()
    names = [name for name in state if not name.startswith(heads)]
    names_inside = [name for name in state if name.startswith(heads)]
    weights = dict(zip(names, trunk, strict=True))
    if names_inside:
        weights |= dict(zip(names_inside, inside, strict=True))
    counterpart.load_state_dict({name: tensor.clone() for name, tensor in weights.items()}, assign=True)
    return counterpart


def torchvision_googlenet(aux_logits):
    with torch.device("meta"):
        return torchvision.models.googlenet(
            num_classes=10,
            aux_logits=aux_logits,
            transform_input=False,
            init_weights=False,
            dropout=0.0,
            dropout_aux=0.0,
        )


def torchvision_inception_v3(aux_logits):
    with torch.device("meta"):
        return torchvision.models.inception_v3(
            num_classes=10, aux_logits=aux_logits, transform_input=False, init_weights=False, dropout=0.0
        )


@pytest.mark.parametrize("image_size", [15, 64, 224])
@pytest.mark.parametrize("aux_logits", [False, True])
@torch.no_grad()
def test_googlenet_bn_is_torchvisions(image_size, aux_logits):
    network = build("googlenet_bn", image_size)
    counterpart = carry_over(network, torchvision_googlenet(aux_logits))
    images = torch.randn(2, 3, image_size, image_size, dtype=torch.double)
    torch.testing.assert_close(network.eval()(images), counterpart.eval()(images), rtol=1e-5, atol=1e-5)
    logits, *auxiliary = network.train()(images)
    expected = counterpart.train()(images)
    if aux_logits:
        expected, second, first = expected
        torch.testing.assert_close(auxiliary, [first, second], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    # Training moved the running statistics the same way.
    torch.testing.assert_close(network.eval()(images), counterpart.eval()(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("image_size", [75, 128, 299])
@torch.no_grad()
def test_inception_v3_is_torchvisions(image_size):
    network = build("inception_v3", image_size)
    counterpart = carry_over(
        network, torchvision_inception_v3(aux_logits=image_size == 299), heads=("AuxLogits",)
    )
    images = torch.randn(2, 3, image_size, image_size, dtype=torch.double)
    torch.testing.assert_close(network.eval()(images), counterpart.eval()(images), rtol=1e-5, atol=1e-5)
    logits, auxiliary = network.train()(images)
    expected = counterpart.train()(images)
    if image_size == 299:  # the only one of these sizes that torchvision's head can take
        expected, expected_auxiliary = expected
        torch.testing.assert_close(auxiliary, expected_auxiliary, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("image_size", [7, 64, 101])
@torch.no_grad()
def test_xception_is_timms(image_size):
    timm = pytest.importorskip("timm")
    network = build("xception", image_size)
    counterpart = carry_over(network, timm.create_model("legacy_xception", num_classes=10))
    images = torch.randn(2, 3, image_size, image_size, dtype=torch.double)
    torch.testing.assert_close(network.eval()(images), counterpart.eval()(images), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network.train()(images), counterpart.train()(images), rtol=1e-5, atol=1e-5)


def test_nothing_between_depthwise_and_pointwise():
    with torch.device("meta"):
        network = registry.get("xception").build()
    separable = 0
    for sequence in network.modules():
        layers = list(sequence) if isinstance(sequence, nn.Sequential) else []
        for first, second, third in zip(layers, layers[1:], layers[2:], strict=False):
            if isinstance(first, nn.Conv2d) and first.groups > 1:
                assert first.groups == first.in_channels == first.out_channels
                assert isinstance(second, nn.Conv2d) and second.kernel_size == (1, 1) and second.groups == 1
                assert isinstance(third, nn.BatchNorm2d)
                separable += 1
    grouped = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert separable == len(grouped) == 34


@torch.no_grad()
def test_shortcuts_of_xception_start_before_the_relu():
    block = registry.get("xception").build(10, 64).block5.eval()
    nn.init.zeros_(block.residual[-1].weight)  # the branch ends at zero, which leaves the shortcut
    maps = torch.randn(1, 728, 4, 4)
    before = maps.clone()
    assert torch.equal(block(maps), before) and torch.equal(maps, before)


@pytest.mark.parametrize(
    ("key", "sides"),
    [
        ("inception_v3", [149, 147, 147, 73, 73, 71, *[35] * 4, *[17] * 5, 8, 8, 8]),
        ("xception", [149, 147, 74, 37, *[19] * 9, 10, 10, 10]),
        ("googlenet_bn", [112, 56, 56, 28, 28, 28, *[14] * 6, 7, 7, 7]),
    ],
)
def test_sides_of_the_stages(key, sides):
    shapes = [stage.output_shape for stage in measure(key).stages]
    assert [shape[-1] for shape in shapes[: len(sides)]] == sides
    assert all(shape[-2] == shape[-1] for shape in shapes[: len(sides)])
    assert [len(shape) for shape in shapes[len(sides) :]] == [1, 1]


def depth(modules):
    """Layers with weights on the longest way through branches and chains; shortcuts count for nothing."""
    modules = list(modules)
    if not modules:
        return 0
    first, *rest = modules
    if isinstance(first, nn.ModuleList):
        here = max(depth([branch]) for branch in first)
    else:
        here = depth(first.children()) or int(isinstance(first, nn.Conv2d | nn.Linear))
    return here + depth(rest)


def test_depth_of_inception_v3():
    with torch.device("meta"):
        network = registry.get("inception_v3").build()
    trunk = [child for name, child in network.named_children() if name != "auxiliary"]
    assert depth(trunk) == registry.get("inception_v3").depth == 48


@pytest.mark.parametrize("image_size", [75, 96, 224, 298, 299, 300, 400])
def test_the_head_of_inception_v3_takes_any_map(image_size):
    layers = measure("inception_v3", 10, image_size).auxiliary_layers
    pooled, shape = layers[0].output_shape, layers[-1].output_shape
    assert (layers[0].kind, shape) == ("pool", (10,))
    assert pooled[1:] == (5, 5) if image_size <= 300 else pooled[1] > 5


@torch.no_grad()
def test_the_first_pool_of_the_head_is_the_papers_from_299_on():
    maps = torch.randn(1, 768, 17, 17)
    pool = Classifier(768, 17, 10)[0]
    corner = maps[:, :, 12:17, 12:17].mean((2, 3))
    torch.testing.assert_close(pool(maps)[:, :, 4, 4], corner)


@pytest.mark.parametrize(("key", "weights"), [("googlenet_bn", (0.3, 0.3)), ("inception_v3", (0.4,))])
def test_weights_of_the_heads_in_the_loss(key, weights, monkeypatch):
    size = registry.get(key).minimum_size
    model = ImageClassifier(key, num_classes=10, image_size=size, recipe="quick")
    assert model.network.auxiliary_weights == weights
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images, labels = torch.randn(4, 3, size, size), torch.arange(4)
    losses = [nn.functional.cross_entropy(logits, labels) for logits in model.network(images)]
    expected = losses[0] + sum(weight * loss for weight, loss in zip(weights, losses[1:], strict=True))
    torch.testing.assert_close(model.training_step((images, labels), 0), expected)


@torch.no_grad()
def test_initialisation_of_inception_v3():
    network = registry.get("inception_v3").build(10, 75)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 94 + 1 + 3
    narrow = {network.auxiliary[2][0]: 0.01, network.auxiliary[5]: 0.001}
    for layer in layers:
        deviation = narrow.get(layer, 0.1)
        assert float(layer.weight.std()) == pytest.approx(deviation, rel=0.1)
        assert layer.bias is None or not layer.bias.any()


@torch.no_grad()
def test_initialisation_of_xception():
    network = registry.get("xception").build(10, 64)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            width, channels, *kernel = layer.weight.shape
            limit = (6 / ((width + channels) * kernel[0] * kernel[1] if kernel else width + channels)) ** 0.5
            assert 0.9 * limit < float(layer.weight.abs().max()) <= limit * (1 + 1e-6)
            assert layer.bias is None or not layer.bias.any()


@torch.no_grad()
def test_initialisation_of_googlenet_bn():
    network = registry.get("googlenet_bn").build(10, 64)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            limit = (3 / layer.weight[0].numel()) ** 0.5
            assert 0.9 * limit < float(layer.weight.abs().max()) <= limit * (1 + 1e-6)
            assert isinstance(layer, nn.Linear) or layer.bias is None
