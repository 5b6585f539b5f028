"""Pixels of a picture to the pixels of a view: bilinear, antialiased where it shrinks.

Boxes of whole pixels go through torch's resampling of bytes, others through Pillow's, which takes boxes with
fractions and gives what torchvision's transforms for published weights give. The two differ by 1 in 255 at
most, but for the outermost pixels: Pillow looks beyond a box's edges, torch does not. In validation Pillow
resizes whole pictures, as those transforms do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datamodules.images import Chooser, Pixels, View

# Unlike torch.nn.functional.interpolate, these write where they are told to: no memory is taken and cleared.
_resample = torch.ops.aten._upsample_bilinear2d_aa.out
_flip = torch.ops.aten.flip.out


class Placement(NamedTuple):
    """Where views lie in pictures of one size, as `cut` and the libraries that it asks see it.

    Along an axis, the middle of a view's pixel i is at ``start + (i - first + 0.5) * step`` pixels of the
    picture; a view shows it from pixel ``first``, which may be negative, to the one before ``last``, and is
    black beside; and resampling looks at the picture from pixel ``low`` to the one before ``high``.

    Attributes:
        rows: first, last, start, step, low and high of each view, N x 6 in float64.
        columns: Likewise.
        mirrored: N.
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
    """Return where views lie in pictures of a size; all are cut after resizing (``whole``), or none."""
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
    # Pillow keeps a box in float32, and looks at what is around it; torch sees what was cut out alone.
    start, stop = shown.astype(np.float32).T
    low, high = np.where(is_whole, shown.T, [[0], [length]])
    return np.stack([first, last, start, (stop - start) / np.maximum(1, last - first), low, high], axis=1)


def _corner(view: View, height: int, width: int, whole: tuple[int, int]) -> tuple[int, int]:
    """Return where a view begins in the picture that was resized to so many rows and columns."""
    rows, columns = whole
    return round(view.top * rows / height), round(view.left * columns / width)


def cut(pixels: Pixels, view: View, out: Pixels) -> None:
    """Write a view of a picture.

    Parts are taken in NumPy: every operation of torch's, if only a view, lets other threads have Python's
    lock and waits to get it back.

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
    part = np.empty((bottom - top, right - left, 3), np.uint8)
    _resize(pixels, box, part, view.mirrored)
    if view.mirrored:
        left, right = view.size - right, view.size - left
    out[:] = 0
    out[top:bottom, left:right] = part


def cut_whole(pixels: Tensor, choose: Chooser, out: Pixels) -> None:
    """The same for a whole picture in memory, uint8, 3 x height x width."""
    cut(pixels.permute(1, 2, 0).numpy(), choose(*pixels.shape[1:]), out)


def _cut_after(pixels: Pixels, view: View, whole: tuple[int, int], out: Pixels) -> None:
    """Resize the whole picture to so many rows and columns, and cuts the view out of that."""
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
    # The operator copies what is not in one piece in any case, and takes no other order than `out` has; that
    # copy is where mirroring costs least.
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
