"""Random erasing, mixup and CutMix of a whole batch on its device.

Draws depend only on the seed of each image. An image is mixed with the one before it in the batch, which is
random since batches are shuffled. Images are N x 3 x S x S and normalised, so that 0 is the mean colour.
"""

from math import log

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from datamodules.pixels.draws import draw_beta, draw_uniform

ERASE, CHOOSE, MIXUP, CUTMIX = 11, 12, 13, 14  # purposes of draws
MAX_TRIES = 10

# torchvision's recipe of 2021 (Vryniotis, "How to train state-of-the-art models using TorchVision's latest
# primitives"): a tenth of the images is erased; mixup and CutMix are used equally often, with these
# exponents.
ERASED_SHARE, MIXUP_ALPHA = 0.1, 0.2


def erase(images: Tensor, seeds: Tensor, share: float = ERASED_SHARE) -> Tensor:
    """Paint the mean colour over a rectangle of some images; in place.

    Zhong 2017, "Random erasing data augmentation": 2 to 33 % of the area, sides from 3:10 to 33:10, anywhere
    inside of the image; drawn like torchvision's RandomErasing.

    Args:
        images: N x 3 x S x S.
        seeds: N.
        share: Share of the images in which a rectangle is erased.
    """
    size = images.shape[-1]
    draws = draw_uniform(seeds, 3 + 2 * MAX_TRIES, ERASE)
    area = size**2 * (0.02 + 0.31 * draws[:, 3 : 3 + MAX_TRIES])
    ratio = (log(0.3) + log(3.3 / 0.3) * draws[:, 3 + MAX_TRIES :]).exp()
    heights, widths = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (heights < size) & (widths < size)
    first = fits.int().argmax(dim=1, keepdim=True)
    height, width = heights.gather(1, first), widths.gather(1, first)
    is_erased = (draws[:, :1] < share) & fits.gather(1, first)
    top = (draws[:, 1:2] * (size - height + 1)).floor()
    left = (draws[:, 2:3] * (size - width + 1)).floor()
    box = _boxes(top, top + height, left, left + width, size)
    return images.masked_fill_(box & is_erased[:, :, None, None], 0)


def mix(images: Tensor, labels: Tensor, seeds: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Mix each image with the one before it: half of them by mixup, the others by CutMix.

    Zhang 2017, "mixup: beyond empirical risk minimization", with Beta(0.2, 0.2); Yun 2019, "CutMix", with
    Beta(1, 1). torchvision's recipe draws once for a batch, like the authors' code; here, a number is drawn
    for each pair, as in the formulas of the papers.

    Returns:
        The images, and the share of every class in each, N x num_classes in float32.
    """
    size = images.shape[-1]
    share = draw_beta(seeds, MIXUP_ALPHA, MIXUP)
    top, bottom, left, right = _cutmix_box(seeds, size)
    is_cut = draw_uniform(seeds, 1, CHOOSE) < 0.5
    own = torch.where(
        is_cut[:, :, None, None],
        1.0 - _boxes(top, bottom, left, right, size).float(),
        share[:, None, None, None],
    )
    shares = torch.where(is_cut, 1 - (bottom - top) * (right - left) / size**2, share[:, None])
    classes = one_hot(labels, num_classes).to(torch.float32)
    targets = torch.lerp(_before(classes), classes, shares)
    return torch.lerp(_before(images), images, own.to(images.dtype)), targets


def _before(batch: Tensor) -> Tensor:
    """Return the predecessors in a batch with the same memory format; CUDA's `roll` puts channels first."""
    return torch.cat([batch[-1:], batch[:-1]])


def _cutmix_box(seeds: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return top, bottom, left and right, N x 1 each, of a box around a random pixel, cut at the edges."""
    share, down, across = draw_uniform(seeds, 3, CUTMIX).chunk(3, dim=1)  # Beta(1, 1) is uniform
    half = (0.5 * size * (1 - share).sqrt()).floor()
    row, column = (down * size).floor(), (across * size).floor()
    return tuple(edge.clamp(0, size) for edge in (row - half, row + half, column - half, column + half))  # type: ignore[return-value]


def _boxes(top: Tensor, bottom: Tensor, left: Tensor, right: Tensor, size: int) -> Tensor:
    """Return which pixels are inside of N x 1 edges, N x 1 x size x size."""
    place = torch.arange(size, device=top.device)
    rows = (place >= top) & (place < bottom)
    columns = (place >= left) & (place < right)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
