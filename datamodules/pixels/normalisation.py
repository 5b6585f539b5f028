"""Pixels to what networks are trained on: mean 0 and standard deviation 1 over the training images."""

import torch
from torch import Tensor


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalises a batch on its device.

    Args:
        images: uint8 or float32, N x 3 x H x W, white is 255.
        mean: Of each channel, 3 x 1 x 1, or of each pixel, 3 x H x W.
        std: Standard deviation of each channel, 3 x 1 x 1.

    Returns:
        float32, N x 3 x H x W, channels last.
    """
    shift, scale = -mean / std, 1 / std
    if images.device.type != "cpu":
        pixels = images.to(torch.float32, memory_format=torch.channels_last)
        # The shift of each pixel is laid out as they are, or they would come out like it.
        return torch.addcmul(shift[None].to(memory_format=torch.channels_last), pixels, scale)
    # A row of pixels is a row of numbers, so that vector units are full; one image at a time stays in the
    # processor's cache. Both together take a third of the time of the lines above.
    count, _, height, width = images.shape
    shift, scale = (one.permute(1, 2, 0).expand(-1, width, 3).flatten(1) for one in (shift, scale))
    rows = images.permute(0, 2, 3, 1).reshape(count, height, width * 3)
    normalised = torch.empty(rows.shape)
    for image, out in zip(rows, normalised, strict=True):
        torch.addcmul(shift, out.copy_(image), scale, out=out)
    return normalised.view(count, height, width, 3).permute(0, 3, 1, 2)
