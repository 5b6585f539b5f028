"""Counting without running: sums, sizes, and the same figures as networks that exist."""

import math
import weakref
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightning_modules.initialisation import without_numbers
from lightning_modules.ledger import table as module
from lightning_modules.ledger.table import measure, measure_network
from lightning_modules.ledger.tracing import KINDS
from lightning_modules.problems import InvalidChoice
from tests.refusals import refused

PRECISIONS = ("32-true", "bf16-mixed")
BUILT = []


@pytest.fixture
def ledger(architecture):
    return measure(architecture.key)


@pytest.fixture
def shallow(ledger):
    """Networks of a thousand layers take seconds a measurement."""
    if len(ledger.layers) > 1000:
        pytest.skip("the same code as in shallower networks, only longer")


def test_totals_are_sums(ledger):
    layers, stages, heads = ledger.layers, ledger.stages, ledger.auxiliary_layers
    for name in ("parameters", "macs", "units"):
        total = sum(getattr(layer, name) for layer in layers)
        assert getattr(ledger, name) == total == sum(getattr(stage, name) for stage in stages)
    assert ledger.parameters_with_auxiliary - ledger.parameters == sum(head.parameters for head in heads)
    for precision in PRECISIONS:
        in_stages = sum(stage.activation_bytes(8, precision) for stage in stages)
        assert in_stages == sum(layer.activation_bytes(8, precision) for layer in layers)
        in_heads = sum(head.activation_bytes(8, precision) for head in heads)
        assert ledger.activation_bytes(8, precision) == in_stages + in_heads


def test_layers_belong_to_stages(ledger, full_size):
    modules = dict(full_size.named_modules())
    for layer in (*ledger.layers, *ledger.auxiliary_layers):
        kinds = {kind for known, kind in KINDS.items() if isinstance(modules[layer.name], known)}
        assert kinds == {layer.kind}
        assert layer.parameters == sum(parameter.numel() for parameter in modules[layer.name].parameters())
        assert layer.name.split(".")[0] == layer.stage
        assert (layer.kind in ("conv", "linear")) == (layer.macs > 0) == (layer.units > 0)
    names = [stage.name for stage in ledger.stages]
    assert list(dict.fromkeys(layer.stage for layer in ledger.layers)) == names
    inside = {layer.stage for layer in ledger.auxiliary_layers}
    assert set(names).isdisjoint(inside) and set(names) | inside == {n for n, _ in full_size.named_children()}


def test_no_layer_is_forgotten(ledger, full_size):
    counted = {layer.name for layer in (*ledger.layers, *ledger.auxiliary_layers)}
    assert len(counted) == len(ledger.layers) + len(ledger.auxiliary_layers)
    known = tuple(KINDS)
    assert counted == {name for name, module in full_size.named_modules() if isinstance(module, known)}


def test_statistics_are_the_buffers(ledger, full_size):
    norms = {name for name, module in full_size.named_modules() if isinstance(module, nn.BatchNorm2d)}
    buffers = {name: buffer for name, buffer in full_size.named_buffers() if buffer.ndim == 1}
    found = {name: size for name, size in statistics(ledger).items() if size}
    assert found.keys() == norms
    for name, size in found.items():
        assert size == buffers[f"{name}.running_mean"].numel() + buffers[f"{name}.running_var"].numel()
    heads = sum(layer.running_statistics for layer in ledger.auxiliary_layers)
    assert (
        ledger.running_statistics_with_auxiliary == ledger.running_statistics + heads == sum(found.values())
    )


def statistics(ledger):
    return {layer.name: layer.running_statistics for layer in (*ledger.layers, *ledger.auxiliary_layers)}


def test_same_as_a_network_that_exists(architecture, network, size):
    ledger = measure(architecture.key, 10, size)
    assert ledger.parameters_with_auxiliary == sum(parameter.numel() for parameter in network.parameters())
    shapes = {}
    handles = [
        stage.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: output.shape[1:]}))
        for name, stage in network.named_children()
    ]
    with torch.no_grad():
        network.eval()(torch.randn(2, 3, size, size))
    for handle in handles:
        handle.remove()
    assert shapes == {stage.name: stage.output_shape for stage in ledger.stages}


def test_networks_come_one_at_a_time(network):
    """All together would take gigabytes: pytest gives one up before it builds the next."""
    BUILT.append(weakref.ref(network))
    assert sum(built() is not None for built in BUILT) == 1


@pytest.mark.parametrize("precision", PRECISIONS)
def test_activations_are_what_autograd_keeps(architecture, network, size, precision):
    """On a device that computes, under torch's own autocast, with each storage counted once."""
    ledger, batch = measure(architecture.key, 10, size), 3
    images = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last).train()
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"),
    ):
        logits = network(images)
    given = {tensor.data_ptr() for tensor in (images, *network.parameters(), *network.buffers())}
    sizes = {at: tensor.untyped_storage().nbytes() for at, tensor in kept.items() if at not in given}
    of_images = sum(sizes[at] for at in sizes if kept[at].shape[0] == batch)
    assert of_images == ledger.activation_bytes(batch, precision)
    # What is left: copies of weights, and in float32 two statistics for each channel of normalisation.
    others = sum(sizes.values()) - of_images
    copies = ledger.weight_copy_bytes if precision == "bf16-mixed" else 0
    bands = sum(2 * tensor.numel() for name, tensor in network.named_buffers() if name.endswith("band"))
    bands *= precision == "bf16-mixed"
    assert others == copies + 4 * ledger.running_statistics_with_auxiliary + bands
    del logits


def test_activations_by_hand():
    """AlexNet's fourth convolution: its output, after ReLU, is what the fifth and ReLU itself need."""
    ledger = measure("alexnet")
    conv4 = next(layer for layer in ledger.layers if layer.stage == "conv4")
    assert conv4.activation_bytes() == 4 * 384 * 13 * 13
    assert conv4.activation_bytes(10) == 10 * conv4.activation_bytes()
    assert conv4.activation_bytes(10, "bf16-mixed") == conv4.activation_bytes(10, "16-mixed")
    assert 2 * conv4.activation_bytes(1, "bf16-mixed") == conv4.activation_bytes()
    # A pool keeps what it puts out for the next layer, and for itself where the largest values were.
    pool5 = next(layer for layer in ledger.layers if layer.stage == "pool5")
    outputs = 256 * 6 * 6
    assert pool5.activation_bytes() == outputs * (4 + 8)
    assert pool5.activation_bytes(1, "bf16-mixed") == outputs * (2 + 8)
    biases = 10_568
    assert ledger.weight_copy_bytes == 2 * (ledger.parameters - biases)
    assert ledger.layers[-1].activation_bytes() == 0


@pytest.mark.parametrize("part", ["ledger", "stage", "layer"])
def test_activations_of_nonsense(part):
    ledger = measure("alexnet", 10, 64)
    one = {"ledger": ledger, "stage": ledger.stages[0], "layer": ledger.layers[0]}[part]
    with refused(InvalidChoice.PRECISION, precision="64-true"):
        one.activation_bytes(1, "64-true")
    with refused(InvalidChoice.BATCH_SIZE, batch_size=0):
        one.activation_bytes(0)


def fields(key, **options):
    return {stage.name: (stage.receptive_field, stage.stride) for stage in measure(key, **options).stages}


def test_receptive_fields_of_alexnet():
    """A kernel of k at stride s of the map before adds (k - 1) s: 11, then 11 + 2 * 4 = 19 and so on."""
    found = fields("alexnet")
    assert found["conv1"] == (11, 4)
    assert found["pool1"] == (11 + 2 * 4, 8)
    assert found["conv2"] == (19 + 4 * 8, 8)
    assert found["pool2"] == (51 + 2 * 8, 16)
    assert found["conv5"] == (67 + 3 * 2 * 16, 16) == (163, 16)
    assert found["pool5"] == (163 + 2 * 16, 32) == (195, 32)
    assert found["fc6"] == found["fc8"] == (None, None)


def test_receptive_fields_of_vgg16():
    """Two or three 3x3 convolutions at strides 1, 2, 4, 8, 16, after each of them a 2x2 pool."""
    expected, stride = 1, 1
    for number, depth in enumerate((2, 2, 3, 3, 3), start=1):
        expected += 2 * depth * stride
        assert fields("vgg16")[f"conv{number}"] == (expected, stride)
        expected += stride
        stride *= 2
        assert fields("vgg16")[f"pool{number}"] == (expected, stride)
    assert (expected, stride) == (212, 32)
    assert fields("vgg16")["conv5"] == (196, 16)


@pytest.mark.parametrize(
    ("stride_on", "conv3", "conv4", "conv5"),
    [
        # After the stride on the first 1x1, all 3x3 convolutions of a stage slide at its own stride.
        ("1x1", 35 + 4 * 2 * 8, 99 + 6 * 2 * 16, 291 + 3 * 2 * 32),
        # On the 3x3, the first of them still slides at the stride of the stage before.
        ("3x3", 35 + 2 * 4 + 3 * 2 * 8, 91 + 2 * 8 + 5 * 2 * 16, 267 + 2 * 16 + 2 * 2 * 32),
    ],
)
def test_receptive_fields_of_resnet50(stride_on, conv3, conv4, conv5):
    found = fields("resnet50", stride_on=stride_on)
    assert found["conv2"] == (7 + 2 * 2 + 3 * 2 * 4, 4) == (35, 4)
    assert found["conv3"] == (conv3, 8)
    assert found["conv4"] == (conv4, 16)
    assert found["conv5"] == (conv5, 32)
    assert conv5 == {"1x1": 483, "3x3": 427}[stride_on]


def test_receptive_fields_of_googlenet():
    """The 5x5 branch sees furthest in each module; the concatenation sees what it sees."""
    found = fields("googlenet")
    assert found["pool2"] == (27, 8)
    assert found["inception3b"] == (27 + 2 * 4 * 8, 8)
    assert found["inception4e"] == (91 + 2 * 8 + 5 * 4 * 16, 16)
    assert found["inception5b"] == (427 + 2 * 16 + 2 * 4 * 32, 32) == (715, 32)
    by_name = {layer.name: layer.receptive_field for layer in measure("googlenet").layers}
    assert by_name["inception3a.branch1"] == 27
    assert by_name["inception3a.branch2.2"] == by_name["inception3a.branch4.1"] == 43
    assert by_name["inception3a.branch3.2"] == 59


def test_receptive_fields_grow(ledger):
    """Until a global pool or a linear layer sees everything; from there on all do."""
    seen = [stage.receptive_field for stage in ledger.stages]
    wide = seen.index(None)
    assert seen[:wide] == sorted(seen[:wide]) and set(seen[wide:]) == {None}
    strides = [stage.stride for stage in ledger.stages]
    assert strides[:wide] == sorted(strides[:wide]) and set(strides[wide:]) == {None}
    for layer in (*ledger.layers, *ledger.auxiliary_layers):
        assert (layer.receptive_field is None) == (layer.stride is None)
        assert layer.kind != "linear" or layer.receptive_field is None


class Branches(nn.Module):
    """Kernels of all kinds, a branch, a sum, padding, and a subsampling without any layer."""

    auxiliary_weights = ()

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, stride=2, padding=1))
        self.wide = nn.Conv2d(4, 4, (1, 7), padding=(0, 3), groups=2)
        self.tall = nn.Conv2d(4, 4, (3, 1), padding=(1, 0))
        self.dilated = nn.Conv2d(4, 8, 3, padding=2, dilation=2, stride=2)
        self.pool = nn.AvgPool2d(3, 1, padding=1)
        self.fc = nn.Linear(8, 10)

    def maps(self, images):
        x = self.stem(images)
        x = torch.cat([self.wide(x)[:, :2], self.tall(x)[:, 2:]], 1)
        y = self.dilated(x)
        y = y + torch.cat([x, x], 1)[:, :, ::2, ::2]
        return self.pool(y)

    def forward(self, images):
        return self.fc(self.maps(images).mean((2, 3)))


def test_receptive_fields_by_gradients():
    """The pixels whose change reaches one value in the middle of a map are the receptive field."""
    with without_numbers():
        ledger = measure_network(Branches(), 64)
    found = {layer.name: (layer.receptive_field, layer.stride) for layer in ledger.layers}
    assert found == {
        "stem.1": (3, 2),
        "wide": (3 + 6 * 2, 2),
        "tall": (3 + 2 * 2, 2),
        "dilated": (15 + 4 * 2, 4),
        "pool": (23 + 2 * 4, 4),
        "fc": (None, None),
    }
    network = Branches()
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    images = torch.zeros(1, 3, 64, 64, requires_grad=True)
    network.maps(images)[0, 0, 8, 8].backward()
    reached = images.grad[0, 0] != 0
    assert int(reached.any(0).sum()) == 31
    # Down: 3 and 4 of the tall kernel, 8 of the dilated one, 8 of the pool.
    assert int(reached.any(1).sum()) == 3 + 4 + 8 + 8
    kernels = {layer.name: layer.kernel for layer in ledger.layers}
    assert kernels == {
        "stem.1": "3x3, stride 2",
        "wide": "1x7, 2 groups",
        "tall": "3x1",
        "dilated": "3x3, stride 2, dilation 2",
        "pool": "3x3",
        "fc": "",
    }


def test_kernels_of_pools():
    assert module.describe_kernel(nn.AdaptiveAvgPool2d(1)) == "global"
    assert module.describe_kernel(nn.AdaptiveAvgPool2d((4, 4))) == "to 4x4"
    assert module.describe_kernel(nn.MaxPool2d(3, (2, 1))) == "3x3, stride 2x1"


def test_adaptive_pools_see_their_largest_window():
    """From 14 to 4 the windows start at 0, 3, 7 and 10 and are 4 wide."""
    layers = [nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 10)]
    network = build(*layers)
    found = {
        layer.name: (layer.receptive_field, layer.stride) for layer in measure_network(network, 14).layers
    }
    assert found == {"0": (1, 1), "1": (4, 3), "3": (None, None)}


def build(*layers):
    network = nn.Sequential(OrderedDict((str(index), layer) for index, layer in enumerate(layers)))
    network.auxiliary_weights = ()
    return network.to("meta")


class Unused(nn.Sequential):
    def forward(self, x):
        return self[0](x)


class Twice(nn.Sequential):
    def forward(self, x):
        return self[0](self[0](x))


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (nn.PReLU(), "Parameters of 0, a PReLU, are counted 0 times"),
        (nn.GroupNorm(1, 3), "Parameters of 0, a GroupNorm, are counted 0 times"),
        (Unused(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)), "Parameters of 0.1, a Conv2d, are counted 0 times"),
        (Twice(nn.Conv2d(3, 3, 1)), "0.0 runs more than once"),
        (nn.UpsamplingNearest2d(scale_factor=2), "resizes a feature map"),
    ],
)
def test_what_cannot_be_counted_is_said(layer, sentence):
    with pytest.raises(TypeError, match=sentence):
        measure_network(build(layer), 8)


def test_subclasses_of_layers_count():
    class OwnConvolution(nn.Conv2d):
        pass

    ledger = measure_network(build(OwnConvolution(3, 4, 3)), 8)
    assert [(layer.kind, layer.macs) for layer in ledger.layers] == [("conv", 4 * 6 * 6 * 27)]


def test_multiplications_are_counted_one_by_one():
    """A convolution of 3 to 4 channels, 3x3, onto 5x5: each of 4 * 25 outputs takes 27 products."""
    convolution = nn.Conv2d(3, 4, 3)
    patches = nn.functional.unfold(torch.randn(1, 3, 7, 7), 3)
    assert patches.numel() * convolution.out_channels == 4 * 25 * 27
    ledger = measure("alexnet")
    assert ledger.layers[0].macs == 96 * 55 * 55 * 3 * 11 * 11
    second = next(layer for layer in ledger.layers if layer.stage == "conv2")
    assert second.macs == 256 * 27 * 27 * (96 // 2) * 5 * 5


class MetaOnly(TorchDispatchMode):
    """Fails when any result has numbers in it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            assert not isinstance(leaf, torch.Tensor) or leaf.is_meta, func
        return result


def test_no_weights_are_allocated(architecture, ledger):
    with MetaOnly(), without_numbers():
        network = architecture.build()
        assert measure_network(network, architecture.input_size) == ledger


@pytest.mark.parametrize("key", ["alexnet", "googlenet", "resnet50"])
def test_measuring_leaves_torch_as_it_was(key):
    before = torch.get_rng_state()
    module._measure.__wrapped__(key, 10, 64)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(1).device.type == "cpu" and torch.is_grad_enabled()
    assert float(torch.empty(1000).normal_().std()) == pytest.approx(1.0, abs=0.2)
    assert nn.functional.linear(torch.ones(1, 1), torch.ones(1, 1)).dtype is torch.float32


def test_answers_are_kept():
    first = measure("resnet50", 7, 64)
    misses = module._measure.cache_info().misses
    assert measure("resnet50", 7, 64) is measure("resnet50", 7, 64, stride_on="1x1") is first
    assert module._measure.cache_info().misses == misses
    assert measure("resnet50", 8, 64) != first


def test_the_papers_size_is_the_default(architecture, ledger):
    assert measure(architecture.key, architecture.num_classes, architecture.input_size) is ledger


def test_classes_change_the_last_layer_alone(architecture, size, shallow):
    many, few = measure(architecture.key, 100, size), measure(architecture.key, 10, size)
    assert many.layers[:-1] == few.layers[:-1]
    last = few.layers[-1]
    assert (last.kind, last.output_shape) == ("linear", (10,))
    assert many.layers[-1].parameters == 10 * last.parameters
    assert many.layers[-1].macs == 10 * last.macs


def test_larger_images_cost_more(architecture, size, shallow):
    small, large = (measure(architecture.key, 10, one) for one in (size, 2 * size))
    assert large.macs > small.macs and large.units > small.units
    assert large.activation_bytes() > small.activation_bytes()
    for one, other in zip(small.layers, large.layers, strict=True):
        assert one.kind != "conv" or (one.parameters, one.receptive_field) == (
            other.parameters,
            other.receptive_field,
        )


def test_units_are_outputs(ledger):
    weighted = [layer for layer in ledger.layers if layer.kind in ("conv", "linear")]
    assert ledger.units == sum(math.prod(layer.output_shape) for layer in weighted)


def test_figures_cannot_be_changed():
    ledger = measure("alexnet")
    with pytest.raises(AttributeError):
        ledger.layers = ()
    with pytest.raises(AttributeError):
        ledger.stages[0].macs = 0
