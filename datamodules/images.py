"""What every data source gives: two splits of labelled images."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Channels = tuple[float, float, float]


Pixels = NDArray[np.uint8]


class View(NamedTuple):
    """A box of a picture and what becomes of it: ``size`` x ``size`` pixels.

    The box is in source pixels, where pixel i reaches from i to i + 1; what lies outside of the picture is
    black. Resampling looks beyond the box's edges as if the whole picture were resized and then cut.

    Attributes:
        whole: Rows and columns that the whole picture really is resized to before it is cut: slower, but the
            same to the last bit, where a box with fractions is rounded.
    """

    left: float
    top: float
    right: float
    bottom: float
    size: int
    mirrored: bool = False
    whole: tuple[int, int] | None = None

    @property
    def last_row(self) -> int:
        """How far down resampling looks, in pixels of the picture; it may reach beyond its end."""
        if self.whole is not None:
            return ceil(self.whole[0] * (self.bottom - self.top) / self.size)
        return ceil(self.bottom + max(1, (self.bottom - self.top) / self.size))


# Height and width of a picture to the part of it that is seen.
Chooser = Callable[[int, int], View]


class Parts(NamedTuple):
    """Parts that images are fetched in, such as the chunks of a stream.

    Attributes:
        ends: Where each ends, in images.
        window: Images that are shuffled at a time; of the parts they are in, all have to be at hand.
    """

    ends: NDArray[np.int64]
    window: int

    @property
    def lookahead(self) -> int:
        """Images by which parts are fetched before they are needed."""
        return self.window // 4


class UnreadableImage(DataError):
    """One image cannot be decoded; its name is the message."""


class NamedBytes(NamedTuple):
    """The content of a file, with a name for messages."""

    content: bytes
    name: str


class Split(Protocol):
    """The images of training or of validation."""

    def __len__(self) -> int:
        """How many there are."""

    def label(self, index: int) -> int:
        """The class of an image, from 0."""

    def read(self, index: int) -> Tensor:
        """The pixels of a whole image, uint8, 3 x height x width.

        Raises:
            UnreadableImage: It cannot be decoded.
        """

    def view(self, index: int, choose: Chooser, out: Pixels) -> None:
        """Writes what is to be seen of an image once its size is known, uint8, size x size x 3.

        Raises:
            UnreadableImage: It cannot be decoded.
        """

    def encoded(self, index: int) -> NamedBytes | None:
        """The file of an image as it is; None if there are pixels alone.

        Raises:
            UnreadableImage: It cannot be read at all.
        """

    def digest(self) -> str:
        """What tells its images and labels from others'; see `datamodules.manifest`."""


@runtime_checkable
class PixelSplit(Split, Protocol):
    """Images of one size that lie in memory all together."""

    @property
    def pixels(self) -> Tensor:
        """uint8, M x channels x height x width; one channel is grey."""

    def place(self, index: int) -> int:
        """Where among the pixels an image is."""


@runtime_checkable
class StreamedSplit(Split, Protocol):
    """Images that come in parts, which have to be fetched."""

    @property
    def parts(self) -> Parts | None:
        """What they are; None if all is at hand already."""

    @property
    def labels(self) -> NDArray[np.integer[Any]] | None:
        """Of all images; None where one has to look into the parts for them."""

    def expect(self, index: int) -> None:
        """Takes note that an image will be needed soon."""


def as_streamed(split: Split) -> StreamedSplit | None:
    """Returns a split whose parts have to be fetched; None if it has none or all are at hand."""
    return split if isinstance(split, StreamedSplit) and split.parts is not None else None


@dataclass(frozen=True)
class Images:
    """An opened data source.

    Attributes:
        class_names: In the order of the labels.
        mean: Of each channel of the training images, where white is 1.
        std: Standard deviation of the same.
        can_mirror: Whether a mirrored image still shows the same thing.
    """

    class_names: tuple[str, ...]
    train: Split
    val: Split
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    can_mirror: bool = True
