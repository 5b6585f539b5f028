"""Resampling a view of a picture: bilinear, with antialiasing if it is reduced.

Boxes of whole pixels are resampled by torch. Others are resampled by Pillow, which supports fractional boxes
and gives the same pixels as torchvision's transforms for published weights. The two differ by at most 1 of
255, except for the outermost pixels: Pillow uses pixels beyond the edges of a box, torch does not. In
validation, Pillow resizes whole pictures, as those transforms do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datamodules.images import Chooser, Pixels, View

# Unlike torch.nn.functional.interpolate, these write to existing memory.
_resample = torch.ops.aten._upsample_bilinear2d_aa.out
_flip = torch.ops.aten.flip.out


class Placement(NamedTuple):
    """The positions of views in pictures of one size, consistent with `cut`.

    Along an axis, the centre of a view's pixel i is at ``start + (i - first + 0.5) * step`` pixels of the
    picture. The view shows the picture from pixel ``first``, which may be negative, up to ``last``
    (exclusive), and is black elsewhere. Resampling uses pixels of the picture from ``low`` up to ``high``
    (exclusive).

    Attributes:
        rows: first, last, start, step, low and high of each view, N x 6 in float64.
        columns: Likewise.
        mirrored: Whether each view is mirrored, N.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    mirrored: NDArray[np.bool_]

    @property
    def moves_only(self) -> bool:
        """Whether no view changes the size of its picture."""
        axes = np.concatenate([self.rows, self.columns])
        return bool((axes[:, 3] == 1).all() and (axes[:, 2] % 1 == 0).all())


def place(views: Sequence[View], height: int, width: int) -> Placement:
    """Return the positions of views in pictures of a size; either all views have ``whole``, or none."""
    mirrored = np.array([view.mirrored for view in views])
    box = np.array([view[:4] for view in views], np.float64)
    size = views[0].size
    if (whole := views[0].whole) is not None:
        corners = [_corner(view, height, width, whole) for view in views]
        rows, columns = (
            np.array([(-corner[axis], size, 0, length / whole[axis], 0, length) for corner in corners])
            for axis, length in enumerate((height, width))
        )
        return Placement(rows, columns, mirrored)
    shown = np.stack([box[:, :2].clip(min=0), box[:, 2:].clip(max=(width, height))], axis=1)
    is_whole = (shown % 1 == 0).all(axis=(1, 2))
    across, down = (
        _place_along(box[:, axis], box[:, axis + 2], shown[:, :, axis], is_whole, size, length)
        for axis, length in enumerate((width, height))
    )
    return Placement(down, across, mirrored)


def _place_along(
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
    shown: NDArray[np.float64],
    is_whole: NDArray[np.bool_],
    size: int,
    length: int,
) -> NDArray[np.float64]:
    step = (end - begin) / size
    first = np.rint((-begin).clip(min=0) / step)
    last = size - np.rint((end - length).clip(min=0) / step)
    # Pillow stores a box in float32, and uses pixels around it; torch only gets the pixels of the box.
    start, stop = shown.astype(np.float32).T
    low, high = np.where(is_whole, shown.T, [[0], [length]])
    return np.stack([first, last, start, (stop - start) / np.maximum(1, last - first), low, high], axis=1)


def _corner(view: View, height: int, width: int, whole: tuple[int, int]) -> tuple[int, int]:
    """Return the corner of a view in the picture resized to ``whole``."""
    rows, columns = whole
    return round(view.top * rows / height), round(view.left * columns / width)


def cut(pixels: Pixels, view: View, out: Pixels) -> None:
    """Write a view of a picture.

    Slices are taken with NumPy, since every operation of torch releases Python's global lock and has to wait
    for it again.

    Args:
        pixels: The picture, uint8, height x width x 3; rows and columns that the view does not need may be
            missing at its end.
        view: The view.
        out: Receives the view, uint8, size x size x 3.
    """
    if view.whole is not None:
        _cut_after(pixels, view, view.whole, out)
        return
    height, width = pixels.shape[:2]
    down, across = (view.bottom - view.top) / view.size, (view.right - view.left) / view.size
    # The rows and columns of the view that show the picture; the others are black.
    top, bottom = round(max(0, -view.top) / down), view.size - round(max(0, view.bottom - height) / down)
    left, right = round(max(0, -view.left) / across), view.size - round(max(0, view.right - width) / across)
    box = (max(0, view.left), max(0, view.top), min(width, view.right), min(height, view.bottom))
    if bottom - top == right - left == view.size:
        _resize(pixels, box, out, view.mirrored)
        return
    part = np.empty((bottom - top, right - left, 3), np.uint8)
    _resize(pixels, box, part, view.mirrored)
    if view.mirrored:
        left, right = view.size - right, view.size - left
    out[:] = 0
    out[top:bottom, left:right] = part


def cut_whole(pixels: Tensor, choose: Chooser, out: Pixels) -> None:
    """Write a view of a whole picture in memory, uint8, 3 x height x width."""
    cut(pixels.permute(1, 2, 0).numpy(), choose(*pixels.shape[1:]), out)


def _cut_after(pixels: Pixels, view: View, whole: tuple[int, int], out: Pixels) -> None:
    """Resize the whole picture, and crop the view from the result."""
    rows, columns = whole
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize((columns, rows), Image.Resampling.BILINEAR)
    top, left = _corner(view, pixels.shape[0], pixels.shape[1], whole)
    out[:] = np.asarray(image)[top : top + view.size, left : left + view.size]


def _resize(pixels: Pixels, box: tuple[float, float, float, float], out: Pixels, mirrored: bool) -> None:
    rows, columns = out.shape[:2]
    left, top, right, bottom = map(int, box)
    if (left, top, right, bottom) != box:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        resized = np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR, box))
        out[:] = resized[:, ::-1] if mirrored else resized
        return
    part = pixels[top:bottom, left:right]
    if part.shape == out.shape:
        _copy(part, out, mirrored)
        return
    # The operator would copy a slice anyway, and requires the memory format of `out`; mirroring is cheapest
    # during that copy.
    whole = np.empty(part.shape, np.uint8)
    _copy(part, whole, mirrored)
    _resample(_planes(whole), (rows, columns), False, out=_planes(out))


def _copy(part: Pixels, out: Pixels, mirrored: bool) -> None:
    if mirrored:
        _flip(torch.from_numpy(part), [1], out=torch.from_numpy(out))
    else:
        out[:] = part


def _planes(pixels: Pixels) -> Tensor:
    """Return the same memory as a batch of one image, 1 x 3 x height x width."""
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None])
