"""Counting without running: sums, sizes, and the same figures as networks that exist."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightning_modules.ledger import KINDS, measure


def test_totals_are_sums(architecture):
    ledger = measure(architecture.key)
    assert ledger.parameters == sum(layer.parameters for layer in ledger.layers)
    assert ledger.parameters == sum(stage.parameters for stage in ledger.stages)
    assert ledger.macs == sum(layer.macs for layer in ledger.layers) == sum(s.macs for s in ledger.stages)
    heads = sum(layer.parameters for layer in ledger.auxiliary_layers)
    assert ledger.parameters_with_auxiliary == ledger.parameters + heads


def test_layers_belong_to_stages(architecture, full_size):
    ledger = measure(architecture.key)
    modules = dict(full_size.named_modules())
    for layer in (*ledger.layers, *ledger.auxiliary_layers):
        assert KINDS[type(modules[layer.name])] == layer.kind
        assert layer.parameters == sum(parameter.numel() for parameter in modules[layer.name].parameters())
        assert layer.name.split(".")[0] == layer.stage
        assert layer.kind in ("conv", "linear") or layer.macs == 0
    names = [stage.name for stage in ledger.stages]
    assert list(dict.fromkeys(layer.stage for layer in ledger.layers)) == names
    inside = {layer.stage for layer in ledger.auxiliary_layers}
    assert set(names).isdisjoint(inside) and set(names) | inside == {n for n, _ in full_size.named_children()}


def test_no_layer_is_forgotten(architecture, full_size):
    ledger = measure(architecture.key)
    counted = {layer.name for layer in (*ledger.layers, *ledger.auxiliary_layers)}
    assert len(counted) == len(ledger.layers) + len(ledger.auxiliary_layers)
    assert counted == {name for name, module in full_size.named_modules() if type(module) in KINDS}


def test_same_as_a_network_that_exists(architecture, network):
    ledger = measure(architecture.key, 10, 64)
    assert ledger.parameters_with_auxiliary == sum(parameter.numel() for parameter in network.parameters())
    shapes = {}
    handles = [
        stage.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: output.shape[1:]}))
        for name, stage in network.named_children()
    ]
    with torch.no_grad():
        network.eval()(torch.randn(2, 3, 64, 64))
    for handle in handles:
        handle.remove()
    assert shapes == {stage.name: stage.output_shape for stage in ledger.stages}


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


def test_no_weights_are_allocated(architecture):
    with MetaOnly():
        ledger = measure.__wrapped__(architecture.key)
    assert ledger == measure(architecture.key)


def test_measuring_leaves_torch_as_it_was(architecture):
    before = torch.get_rng_state()
    measure.__wrapped__(architecture.key, 10, 64)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(1).device.type == "cpu" and torch.is_grad_enabled()
    assert float(torch.empty(1000).normal_().std()) == pytest.approx(1.0, abs=0.2)


def test_answers_are_kept(architecture):
    first = measure(architecture.key, 7, 64)
    misses = measure.cache_info().misses
    assert measure(architecture.key, 7, 64) is first
    assert measure.cache_info().misses == misses
    assert measure(architecture.key, 8, 64) != first


def test_the_papers_size_is_the_default(architecture):
    assert measure(architecture.key) == measure(architecture.key, 1000, architecture.input_size)


def test_classes_change_the_last_layer_alone(architecture):
    many, few = measure(architecture.key), measure(architecture.key, 10)
    assert many.layers[:-1] == few.layers[:-1]
    last = few.layers[-1]
    assert (last.kind, last.output_shape) == ("linear", (10,))
    assert many.layers[-1].parameters == 100 * last.parameters
    assert many.layers[-1].macs == 100 * last.macs


def test_larger_images_cost_more(architecture):
    sizes = (64, 128, 224)
    ledgers = [measure(architecture.key, 10, size) for size in sizes]
    macs = [ledger.macs for ledger in ledgers]
    assert macs == sorted(macs) and len(set(macs)) == len(sizes)
    for ledger in ledgers[1:]:
        convolutions = zip(ledger.layers, ledgers[0].layers, strict=True)
        assert all(one.parameters == other.parameters for one, other in convolutions if one.kind == "conv")


def test_figures_cannot_be_changed(architecture):
    ledger = measure(architecture.key)
    with pytest.raises(AttributeError):
        ledger.layers = ()
    with pytest.raises(AttributeError):
        ledger.stages[0].macs = 0
