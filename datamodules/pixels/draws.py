"""Random numbers for a whole batch on its device; those of an image depend only on its seed.

Unlike with torch's generators, of which a batch has one, they depend neither on the other images of the batch
nor on the number of processes. The method is splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", 2014): the seed plus a multiple of the golden ratio, mixed.
"""

from math import pi

import torch
from torch import Tensor


def _signed(value: int) -> int:
    """Return the int64 with the same 64 bits."""
    return value - 2**64 if value >= 2**63 else value


GOLDEN = _signed(0x9E3779B97F4A7C15)
FIRST, SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)
# Largest count of numbers for one purpose.
PER_PURPOSE = 1 << 16
# Numbers have 23 bits after the point plus a half: exact in float32, and never 0 or 1.
BITS = 23
MAX_TRIES = 8


def draw_uniform(seeds: Tensor, count: int, purpose: int) -> Tensor:
    """Return numbers between 0 and 1, both excluded.

    Args:
        seeds: Seeds of the images, N in int64.
        count: Count of numbers for each image.
        purpose: Different purposes give independent numbers.

    Returns:
        float32, N x count.
    """
    counters = torch.arange(1, count + 1, device=seeds.device) + purpose * PER_PURPOSE
    bits = seeds[:, None] + counters * GOLDEN  # int64 overflows wrap around, as the method requires
    bits = (bits ^ _shift(bits, 30)) * FIRST
    bits = (bits ^ _shift(bits, 27)) * SECOND
    bits = bits ^ _shift(bits, 31)
    numbers: Tensor = (_shift(bits, 64 - BITS).to(torch.float32) + 0.5) / 2**BITS
    return numbers


def draw_normal(seeds: Tensor, count: int, purpose: int) -> Tensor:
    """Return numbers from N(0, 1) by the Box-Muller method, float32, N x count; see `draw_uniform`."""
    radius, angle = draw_uniform(seeds, 2 * count, purpose).chunk(2, dim=1)
    return (-2 * radius.log()).sqrt() * (2 * pi * angle).cos()


def draw_beta(seeds: Tensor, alpha: float, purpose: int) -> Tensor:
    """Return one number from Beta(alpha, alpha) for each image, float32, N.

    Jöhnk's method takes the first pair of powers of uniform numbers whose sum is at most 1. With mixup's
    alpha of 0.2, 95% of the pairs are accepted, and all tries of an image fail once in 10^10.

    Args:
        seeds: Seeds of the images, N in int64.
        alpha: Between 0.1 and 1; fewer pairs are accepted if it is larger.
        purpose: See `draw_uniform`.
    """
    first, second = draw_uniform(seeds, 2 * MAX_TRIES, purpose).pow(1 / alpha).chunk(2, dim=1)
    sums = first + second
    taken = (sums <= 1).int().argmax(dim=1, keepdim=True)
    return (first / sums).gather(1, taken)[:, 0]


def _shift(bits: Tensor, places: int) -> Tensor:
    """Shift to the right and fill with zeros, where int64 would repeat its sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
