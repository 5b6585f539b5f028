"""Pixels of a picture to the pixels of a view."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datamodules.views import Chooser, View

Pixels = NDArray[np.uint8]


def cut(image: Image.Image, view: View) -> Pixels:
    """Resizes a box of an RGB image by antialiased bilinear interpolation.

    Returns:
        uint8, size x size x 3, mirrored where the view is.
    """
    width, height = image.size
    down, across = (view.bottom - view.top) / view.size, (view.right - view.left) / view.size
    # Of the view, the rows and columns that show the picture; around them it is black.
    top, bottom = round(max(0, -view.top) / down), view.size - round(max(0, view.bottom - height) / down)
    left, right = round(max(0, -view.left) / across), view.size - round(max(0, view.right - width) / across)
    box = (max(0, view.left), max(0, view.top), min(width, view.right), min(height, view.bottom))
    resized = np.asarray(image.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box))
    pixels = np.zeros((view.size, view.size, 3), np.uint8)
    seen = pixels[:, ::-1] if view.mirrored else pixels
    seen[top:bottom, left:right] = resized
    return pixels


def cut_pixels(pixels: Tensor, choose: Chooser) -> Tensor:
    """The same for pixels in memory, uint8, 3 x height x width."""
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    return torch.from_numpy(cut(image, choose(image.height, image.width)))
