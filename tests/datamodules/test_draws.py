"""Numbers from seeds: spread as they should be, and each image's own."""

import math

import pytest
import torch

from datamodules.pixels.draws import draw_beta, draw_normal, draw_uniform

SEEDS = torch.randint(2**62, (100_000,), generator=torch.Generator().manual_seed(0))


def distance(draws: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest distance of the cumulated share of draws from what is expected at each (Kolmogorov's)."""
    expected = expected[draws.argsort()].double()
    places = torch.arange(len(draws), dtype=torch.float64) / len(draws)
    return float(torch.maximum(expected - places, places + 1 / len(draws) - expected).max())


# 1.95 / sqrt(n) is passed by one honest source of 1,000.
ALLOWED = 1.95 / math.sqrt(len(SEEDS))


@pytest.mark.parametrize("seeds", [SEEDS, torch.arange(100_000), -SEEDS], ids=["random", "counted", "below"])
def test_uniform(seeds: torch.Tensor) -> None:
    draws = draw_uniform(seeds, 4, purpose=3)
    assert draws.dtype == torch.float32 and draws.shape == (100_000, 4)
    assert draws.min() > 0 and draws.max() < 1
    assert max(distance(column, column) for column in draws.T) < ALLOWED
    others = torch.cat(
        [draws, draw_uniform(seeds, 4, purpose=4), draw_uniform(seeds + 1, 4, purpose=3)], dim=1
    )
    assert (torch.corrcoef(others.T) - torch.eye(12)).abs().max() < 0.016  # five times its deviation


def test_against_the_published_generator() -> None:
    """The numbers of splitmix64 for seed 1234567, as its reference implementation prints them."""
    published = (6457827717110365317, 3203168211198807973, 9817491932198370423)
    draws = draw_uniform(torch.tensor([1234567]), 3, purpose=0)[0].double()
    assert torch.equal(draws, torch.tensor([((number >> 41) + 0.5) / 2**23 for number in published]).double())


def test_normal() -> None:
    draws = draw_normal(SEEDS, 2, purpose=1)
    assert max(distance(column, torch.special.ndtr(column)) for column in draws.T) < ALLOWED
    assert abs(float(torch.corrcoef(draws.T)[0, 1])) < 0.016


@pytest.mark.parametrize("alpha", [0.2, 0.4, 1.0])
def test_beta(alpha: float) -> None:
    draws = draw_beta(SEEDS, alpha, purpose=2)
    assert draws.min() >= 0 and draws.max() <= 1 and not draws.isnan().any()
    theirs = torch.distributions.Beta(alpha, alpha)
    torch.manual_seed(0)
    sample = theirs.sample((100_000,)).sort().values
    ranks = torch.searchsorted(sample, draws) / len(sample)
    assert distance(draws[draws < 1], ranks[draws < 1]) < 2 * ALLOWED + 0.01
    assert abs(float(draws.var()) - 0.25 / (2 * alpha + 1)) < 0.002


def test_an_image_draws_alone() -> None:
    order = torch.randperm(64)
    for draw in (draw_uniform, draw_normal):
        together = draw(SEEDS[:64], 5, 1)
        assert torch.equal(draw(SEEDS[:64][order], 5, 1), together[order])
        assert torch.equal(draw(SEEDS[7:8], 5, 1), together[7:8])
    assert torch.equal(draw_beta(SEEDS[7:8], 0.2, 1), draw_beta(SEEDS[:64], 0.2, 1)[7:8])
