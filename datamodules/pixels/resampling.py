"""Pixels of a picture to the pixels of a view: bilinear, antialiased where it shrinks.

Boxes of whole pixels go through torch's resampling of bytes, others through Pillow's, which takes boxes with
fractions and gives what torchvision's transforms for published weights give. The two differ by 1 in 255 at
most, but for the outermost pixels: Pillow looks beyond a box's edges, torch does not. In validation Pillow
resizes whole pictures, as those transforms do.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.pixels.views import Chooser, View

# Unlike torch.nn.functional.interpolate, these write where they are told to: no memory is taken and cleared.
_resample = torch.ops.aten._upsample_bilinear2d_aa.out
_flip = torch.ops.aten.flip.out


def cut(pixels: Tensor, view: View, out: Tensor) -> None:
    """Writes a view of a picture.

    Args:
        pixels: The picture, uint8, height x width x 3; rows and columns that the view does not need may be
            missing at its end.
        view: Which part, and how large.
        out: uint8, size x size x 3.
    """
    if view.whole is not None:
        _cut_after(pixels, view, view.whole, out)
        return
    height, width = pixels.shape[:2]
    down, across = (view.bottom - view.top) / view.size, (view.right - view.left) / view.size
    # Of the view, the rows and columns that show the picture; around them it is black.
    top, bottom = round(max(0, -view.top) / down), view.size - round(max(0, view.bottom - height) / down)
    left, right = round(max(0, -view.left) / across), view.size - round(max(0, view.right - width) / across)
    box = (max(0, view.left), max(0, view.top), min(width, view.right), min(height, view.bottom))
    if bottom - top == right - left == view.size:
        _resize(pixels, box, out, view.mirrored)
        return
    part = pixels.new_empty(bottom - top, right - left, 3)
    _resize(pixels, box, part, view.mirrored)
    if view.mirrored:
        left, right = view.size - right, view.size - left
    out.zero_()
    out[top:bottom, left:right] = part


def cut_whole(pixels: Tensor, choose: Chooser, out: Tensor) -> None:
    """The same for a whole picture in memory, uint8, 3 x height x width."""
    cut(pixels.permute(1, 2, 0), choose(*pixels.shape[1:]), out)


def _cut_after(pixels: Tensor, view: View, whole: tuple[int, int], out: Tensor) -> None:
    """Resizes the whole picture to so many rows and columns, and cuts the view out of that."""
    rows, columns = whole
    image = Image.fromarray(pixels.contiguous().numpy()).resize((columns, rows), Image.Resampling.BILINEAR)
    top, left = round(view.top * rows / pixels.shape[0]), round(view.left * columns / pixels.shape[1])
    out.copy_(torch.from_numpy(np.array(image))[top : top + view.size, left : left + view.size])


def _resize(pixels: Tensor, box: tuple[float, float, float, float], out: Tensor, mirrored: bool) -> None:
    rows, columns = out.shape[:2]
    left, top, right, bottom = map(int, box)
    if (left, top, right, bottom) != box:
        image = Image.fromarray(pixels.contiguous().numpy())
        resized = torch.from_numpy(np.array(image.resize((columns, rows), Image.Resampling.BILINEAR, box)))
        out.copy_(resized.flip(1) if mirrored else resized)
        return
    part = pixels[top:bottom, left:right]
    if part.shape == out.shape:
        _flip(part, [1], out=out) if mirrored else out.copy_(part)
        return
    # The operator copies what is not in one piece in any case, and takes no other order than `out` has; that
    # copy is where mirroring costs least.
    part = _flip(part, [1], out=part.new_empty(part.shape)) if mirrored else part.contiguous()
    _resample(part.permute(2, 0, 1)[None], (rows, columns), False, out=out.permute(2, 0, 1)[None])
