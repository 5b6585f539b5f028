"""The hand-written normalisation and its derivative against torch's."""

import pytest
import torch
from torch import nn

from lightning_modules.networks.local_response_norm import LocalResponseNorm

CONSTANTS = [
    {"k": 2.0, "size": 5, "alpha": 1e-4},  # AlexNet's
    {"k": 1.0, "size": 5, "alpha": 1e-4},  # GoogLeNet's
    {"k": 0.5, "size": 3, "alpha": 1.0},  # strong enough to see every neighbour
    {"k": 1.0, "size": 1, "alpha": 0.1},
    {"k": 1.0, "size": 7, "alpha": 0.1},
]


def reference(constants):
    return nn.LocalResponseNorm(beta=0.75, **constants)


def outputs_and_gradients(norm, x, gradient):
    x = x.clone().requires_grad_()
    output = norm(x)
    output.backward(gradient)
    return output.detach(), x.grad


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_like_torch(constants, scale, layout):
    x, gradient = (torch.randn(2, 16, 5, 4).to(memory_format=layout) for _ in range(2))
    found = outputs_and_gradients(LocalResponseNorm(16, **constants), scale * x, gradient)
    expected = outputs_and_gradients(reference(constants), scale * x, gradient)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("constants", CONSTANTS)
def test_like_torch_in_double_precision(constants):
    x, gradient = (torch.randn(2, 8, 3, 3, dtype=torch.float64) for _ in range(2))
    found = outputs_and_gradients(LocalResponseNorm(8, **constants), 10 * x, gradient)
    expected = outputs_and_gradients(reference(constants), 10 * x, gradient)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("constants", CONSTANTS)
def test_the_gradient_is_the_derivative(constants, groups):
    x = (3 * torch.randn(2, 8, 2, 3, dtype=torch.float64)).requires_grad_()
    norm = LocalResponseNorm(8, groups=groups, **constants)
    assert torch.autograd.gradcheck(norm, (x,), eps=1e-6, atol=1e-7)


def test_groups_do_not_look_at_each_other():
    x, gradient = (torch.randn(2, 12, 4, 4) for _ in range(2))
    constants = {"k": 1.0, "size": 5, "alpha": 1.0}
    found = outputs_and_gradients(LocalResponseNorm(12, groups=2, **constants), x, gradient)
    halves = [
        outputs_and_gradients(reference(constants), *parts)
        for parts in zip(x.chunk(2, 1), gradient.chunk(2, 1), strict=True)
    ]
    for one, parts in zip(found, zip(*halves, strict=True), strict=True):
        torch.testing.assert_close(one, torch.cat(parts, 1), rtol=1e-5, atol=1e-6)
    joint = LocalResponseNorm(12, **constants)(x)
    differing = (joint - found[0]).abs().amax((0, 2, 3)) > 1e-6
    assert differing.nonzero().flatten().tolist() == [4, 5, 6, 7]


def test_by_hand():
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    found = LocalResponseNorm(4, k=2.0, size=3, alpha=0.3)(x).flatten()
    bases = [2 + 0.1 * (1 + 4), 2 + 0.1 * (1 + 4 + 9), 2 + 0.1 * (4 + 9 + 16), 2 + 0.1 * (9 + 16)]
    torch.testing.assert_close(
        found, torch.tensor([v / b**0.75 for v, b in zip((1, 2, 3, 4), bases, strict=True)])
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_fewer_channels_than_the_window(channels):
    x = torch.randn(2, channels, 3, 3)
    constants = {"k": 1.0, "size": 5, "alpha": 1.0}
    torch.testing.assert_close(LocalResponseNorm(channels, **constants)(x), reference(constants)(x))


def test_the_input_stays_as_it_was():
    x, gradient = torch.randn(2, 8, 3, 3), torch.randn(2, 8, 3, 3)
    before, gradient_before = x.clone(), gradient.clone()
    outputs_and_gradients(LocalResponseNorm(8, k=1.0), x, gradient)
    assert torch.equal(x, before) and torch.equal(gradient, gradient_before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_bfloat16_under_autocast(dtype):
    x, gradient = 10 * torch.randn(2, 16, 4, 4), torch.randn(2, 16, 4, 4)
    constants = {"k": 1.0, "size": 5, "alpha": 0.1}
    expected = outputs_and_gradients(reference(constants), x, gradient)
    given = x.to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = LocalResponseNorm(16, **constants)(given)
    output.backward(gradient.to(output.dtype))
    assert given.grad.dtype is dtype
    torch.testing.assert_close(output.float(), expected[0], rtol=0.03, atol=0.03)
    torch.testing.assert_close(given.grad.float(), expected[1], rtol=0.03, atol=0.03)


@pytest.mark.parametrize("autocast", [True, False])
def test_float16_whose_squares_overflow(autocast):
    x, gradient = 500 * torch.randn(2, 16, 4, 4).half(), torch.randn(2, 16, 4, 4).half()
    assert (x * x).isinf().any()
    constants = {"k": 2.0, "size": 5, "alpha": 1e-4}
    expected = outputs_and_gradients(reference(constants), x.double(), gradient.double())
    with torch.autocast("cpu", torch.float16, enabled=autocast):
        found = outputs_and_gradients(LocalResponseNorm(16, **constants), x, gradient)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype is torch.float16
        torch.testing.assert_close(one.double(), other, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_the_meta_device(dtype):
    with torch.device("meta"):
        norm = LocalResponseNorm(8, k=1.0, groups=2)
        x = torch.empty(2, 8, 3, 3, dtype=dtype, requires_grad=True)
    output = norm(x)
    assert output.is_meta and output.shape == x.shape and output.dtype is dtype
    output.sum().backward()
    assert x.grad.is_meta and x.grad.shape == x.shape


def test_nothing_to_learn_or_to_save():
    norm = LocalResponseNorm(8, k=1.0)
    assert not list(norm.parameters()) and not norm.state_dict()
    assert norm.to(torch.float64).band.dtype is torch.float64
