"""Colour augmentation of a whole batch on its device: pixels are float32, N x 3 x H x W, white is 255.

Draws depend only on the seed of each image. Nothing is rounded, as in the code of the papers.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from datamodules.pixels.draws import draw_normal, draw_uniform

# Krizhevsky 2012, section 4.1: eigenvalues and eigenvectors (columns) of the RGB values of ImageNet.
PCA_VALUES = (0.2175, 0.0188, 0.0045)
PCA_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
# Weights of red, green and blue (ITU-R BT.601), with the digits that Pillow and torchvision use.
BRIGHTNESS = (0.2989, 0.587, 0.114)
SHIFT, JITTER = 1, 2  # purposes of draws

Colour = Callable[[Tensor, Tensor], Tensor]


def shift_colour(pixels: Tensor, seeds: Tensor) -> Tensor:
    """Shift the colour of each image along the principal components of ImageNet's; in place.

    Krizhevsky 2012, section 4.1, where white is 1: each component is scaled by its eigenvalue times a draw
    from N(0, 0.1). The code of 2012 uses "stdevs" instead of eigenvalues and divides by 1.1 afterwards; this
    function follows the paper. As in that code, values may leave the range from 0 to 255.
    """
    # No matrix product, whose factors may be rounded to bfloat16 or TF32.
    amounts = draw_normal(seeds, 3, SHIFT)
    shift = (amounts[:, None] * _components(pixels.device)).sum(dim=2)
    return pixels.add_(shift[:, :, None, None])


@cache
def _components(device: torch.device) -> Tensor:
    """Return the principal components of ImageNet's colours as columns, scaled to a draw of 1.

    They are cached on each device, since copying them to a GPU would wait for it.
    """
    return (255 * 0.1 * torch.tensor(PCA_VECTORS) * torch.tensor(PCA_VALUES)).to(device)


def jitter_colour(pixels: Tensor, seeds: Tensor, reach: float = 0.4) -> Tensor:
    """Scale brightness, contrast and saturation of each image by 1 - reach to 1 + reach; in place.

    These are the operations of torchvision's ColorJitter in random order: each image is blended with black,
    with the mean of its greyscale version or with that version, and clamped to 0 to 255.
    """
    draws = draw_uniform(seeds, 6, JITTER)
    factors = 1 + reach * (2 * draws[:, :3] - 1)
    orders = draws[:, 3:].argsort(dim=1)
    # Single images fit into the CPU's cache; a whole batch at a time would take ten times as long.
    at_once = 1 if pixels.device.type == "cpu" else max(1, len(pixels))
    for start in range(0, len(pixels), at_once):
        part = slice(start, start + at_once)
        _jitter(pixels[part], factors[part], orders[part])
    return pixels


def _jitter(pixels: Tensor, factors: Tensor, orders: Tensor) -> None:
    """Blend N images by N x 3 factors (of black, mean and grey) in the order of N x 3 places; in place."""
    for step in range(3):
        which = orders[:, step, None, None]
        factor = factors.gather(1, orders[:, step, None])[:, :, None]
        red, green, blue = pixels.unbind(dim=1)
        grey = (red * BRIGHTNESS[0]).add_(green, alpha=BRIGHTNESS[1]).add_(blue, alpha=BRIGHTNESS[2])
        mean = grey.mean(dim=(1, 2), keepdim=True)
        other = grey.mul_((which == 2) * (1 - factor)).add_((which == 1) * (1 - factor) * mean)
        pixels.mul_(factor[:, None]).add_(other[:, None]).clamp_(0, 255)
