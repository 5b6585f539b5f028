"""Data sets that fit into the memory of the GPU: batches are cut out of the images on the device.

Only the position of each view in its image is transferred, 13 numbers, drawn from the same seeds as for other
data sets by processes in advance. The pixels are the same as those of `datamodules.pixels.resampling`: equal
to the last bit where it only moves an image or uses Pillow, different by at most 1 of 255 where it uses
torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.damage import Unreadable
from datamodules.images import Chooser, PixelSplit, Split
from datamodules.pixels.resampling import Placement, place
from datamodules.pixels.views import TrainingViews
from datamodules.reading.process_loader import load_in_processes
from datamodules.reading.sampling import Draw, IndexBatches
from datamodules.subset import ChosenSplit

# MPS does not support float64, in which sums of products of integers are exact.
DEVICES = frozenset({"cuda"})
# Pillow's weights are multiples of its reciprocal.
WEIGHT_ONE = 1 << 22
# One process draws about 60,000 views per second.
MAX_PROCESSES = 2
# Bytes of float64 that are resized at a time.
CHUNK_BYTES = 2**26


class DrawnBatch(NamedTuple):
    """A batch of views that have not been cut out yet.

    Attributes:
        images: Indices of the images among the pixels, N.
        labels: Classes, N.
        seeds: Seeds of the augmentation, N; 0 in validation.
        rows: Position of each view, N x 6 in float64; see `datamodules.pixels.resampling.Placement`.
        columns: Likewise.
        mirrored: Whether each view is mirrored, N.
        moves_only: Whether no view changes the size of its image.
        unreadable: Empty, since all pixels were read when the data set was opened.
    """

    images: Tensor
    labels: Tensor
    seeds: Tensor
    rows: Tensor
    columns: Tensor
    mirrored: Tensor
    moves_only: bool
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """The message of a process about a batch: arrays, which are sent in one piece."""

    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    seeds: NDArray[np.int64]
    placed: Placement

    def batch(self) -> DrawnBatch:
        """Return the batch as tensors."""
        images, labels, seeds, rows, columns, mirrored = map(
            torch.from_numpy, (self.images, self.labels, self.seeds, *self.placed)
        )
        return DrawnBatch(images, labels, seeds, rows, columns, mirrored, self.placed.moves_only)

    def pin_memory(self) -> DrawnBatch:
        """Return the batch in pinned memory; called by PyTorch's thread that pins memory."""
        batch = self.batch()
        return batch._replace(**{name: getattr(batch, name).pin_memory() for name in batch._fields[:6]})


@dataclass(frozen=True)
class Resident:
    """The images of a split that are all in memory.

    Attributes:
        pixels: uint8, M x channels x height x width; a single channel is greyscale.
        places: Indices of the split's images among the pixels, N.
        labels: Classes of the split's images, N.
    """

    pixels: Tensor
    places: NDArray[np.int64]
    labels: NDArray[np.int64]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.pixels.shape[2], self.pixels.shape[3]

    def draw(self, numbers: NDArray[np.int64], seeds: NDArray[np.int64], placed: Placement) -> Drawn:
        """Return a batch of images, given their indices in the split."""
        return Drawn(self.places[numbers], self.labels[numbers], seeds, placed)


def find_resident(split: Split) -> Resident | None:
    """Return the images of a split that are in memory; None if they are read one by one."""
    if isinstance(split, ChosenSplit):
        of_all = find_resident(split.split)
        if of_all is None:
            return None
        return Resident(of_all.pixels, of_all.places[split.numbers], split.labels.astype(np.int64))
    if not isinstance(split, PixelSplit):
        return None
    numbers = range(len(split))
    return Resident(
        split.pixels,
        np.fromiter(map(split.place, numbers), np.int64, len(split)),
        np.fromiter(map(split.label, numbers), np.int64, len(split)),
    )


class TrainingDraws(Dataset[Drawn]):
    """Draws the views of training images.

    Args:
        images: Images of the split.
        views: Choose the views.
    """

    def __init__(self, images: Resident, views: TrainingViews) -> None:
        self.images, self.views = images, views

    def __getitem__(self, draws: Sequence[Draw]) -> Drawn:
        """Draw a batch."""
        height, width = self.images.size
        views = [self.views.seeded(draw.seed)(height, width) for draw in draws]
        numbers, seeds, _ = np.array(draws, np.int64).T
        return self.images.draw(numbers, seeds, place(views, height, width))


class ValidationDraws(Dataset[Drawn]):
    """Draws the view of validation images, which is the same for all.

    Args:
        images: Images of the split.
        choose: Chooses the view.
    """

    def __init__(self, images: Resident, choose: Chooser) -> None:
        self.images, self.view = images, choose(*images.size)

    def __len__(self) -> int:
        return len(self.images.labels)

    def __getitem__(self, numbers: Sequence[int]) -> Drawn:
        """Return a batch."""
        chosen = np.array(numbers, np.int64)
        views = [self.view] * len(chosen)
        return self.images.draw(chosen, np.zeros_like(chosen), place(views, *self.images.size))


class DrawingLoader:
    """Batches of views in the order of their indices, drawn in advance by other processes.

    Args:
        dataset: Draws batches.
        indices: The indices of each batch.
        num_processes: Number of processes that draw; with 0, this process draws a batch when it is requested.
        pin_memory: Whether to copy batches to pinned memory, in a thread.
    """

    def __init__(
        self,
        dataset: TrainingDraws | ValidationDraws,
        indices: IndexBatches,
        num_processes: int,
        pin_memory: bool,
    ) -> None:
        self._batches = load_in_processes(dataset, indices, num_processes, pin_memory)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[DrawnBatch]:
        for drawn in self._batches:
            yield drawn.batch() if isinstance(drawn, Drawn) else drawn


class Cutter:
    """Cuts views out of images on their device.

    Args:
        images: Images of a split.
        image_size: Side of the views in pixels.
        device: Device that gets a copy of the pixels.
    """

    def __init__(self, images: Resident, image_size: int, device: torch.device) -> None:
        # Channels last, the fastest layout for networks.
        self.pixels = images.pixels.to(device).permute(0, 2, 3, 1).contiguous()
        self.image_size = image_size

    def cut(self, batch: DrawnBatch) -> Tensor:
        """Return uint8, N x 3 x S x S, channels last, without waiting for the device."""
        views = self._move(batch) if batch.moves_only else self._resize(batch)
        return views.expand(-1, -1, -1, 3).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def _move(self, batch: DrawnBatch) -> Tensor:
        height, width = self.pixels.shape[1:3]
        rows, shows_row = self._sources(batch.rows, height)
        columns, shows_column = self._sources(batch.columns, width, batch.mirrored)
        views = self.pixels[batch.images[:, None, None], rows[:, :, None], columns[:, None, :]]
        return views * (shows_row[:, :, None] & shows_column[:, None, :])[..., None]

    def _sources(self, axes: Tensor, length: int, mirrored: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the pixel that each pixel of a view shows along an axis, N x S, and whether it shows any."""
        here = self._here(mirrored, axes)
        first, last, start = (axes[:, number, None] for number in range(3))
        source = (start + here - first).long().clamp(0, length - 1)
        return source, (here >= first) & (here < last)

    def _resize(self, batch: DrawnBatch) -> Tensor:
        size, (height, width, colours) = self.image_size, self.pixels.shape[1:]
        down = weigh(batch.rows, self._here(None, batch.rows), height)
        across = weigh(batch.columns, self._here(batch.mirrored, batch.columns), width)
        parts = []
        at_once = max(1, CHUNK_BYTES // (8 * colours * size * max(size, height)))
        for start in range(0, len(batch.images), at_once):
            part = slice(start, start + at_once)
            pixels = self.pixels[batch.images[part]].permute(0, 3, 1, 2)  # n x colours x height x width
            wide = _add_up(pixels.double() @ across[part, None].mT)  # n x colours x height x S
            parts.append(_add_up(down[part, None] @ wide).to(torch.uint8).permute(0, 2, 3, 1))
        return torch.cat(parts)

    def _here(self, mirrored: Tensor | None, axes: Tensor) -> Tensor:
        """Return the indices of a view's pixels, reversed if it is mirrored; N x S or 1 x S."""
        here = torch.arange(self.image_size, device=axes.device)[None]
        return here if mirrored is None else torch.where(mirrored[:, None], self.image_size - 1 - here, here)


def weigh(axes: Tensor, here: Tensor, length: int) -> Tensor:
    """Return the weight of each pixel of an image in each pixel of its view, equal to Pillow's resize.

    The weights are a triangle around the centre of the view's pixel, as wide as two pixels of the view or of
    the image, whichever is larger.

    Args:
        axes: N x 6 in float64; see `datamodules.pixels.resampling.Placement`.
        here: Indices of the view's pixels, N x S or 1 x S.
        length: Length of the image along the axis.

    Returns:
        Integers with the sum `WEIGHT_ONE`, or 0 where the view shows nothing; N x S x length in float64.
    """
    first, last, start, step, low, high = (axes[:, number, None, None] for number in range(6))
    place, source = here[:, :, None], torch.arange(length, device=axes.device)
    middle = start + (place - first + 0.5) * step
    reach = step.clamp(min=1)
    begin, end = (middle - reach + 0.5).trunc(), (middle + reach + 0.5).trunc()
    is_near = (source >= torch.maximum(begin, low)) & (source < torch.minimum(end, high))
    weights = (1 - ((source - middle + 0.5) * (1 / reach)).abs()).clamp(min=0) * is_near
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-9)
    return (weights * WEIGHT_ONE + 0.5).trunc() * ((place >= first) & (place < last))


def _add_up(sums: Tensor) -> Tensor:
    """Round sums of pixels times weights to levels from 0 to 255."""
    return ((sums + WEIGHT_ONE // 2) / WEIGHT_ONE).floor().clamp(max=255)
