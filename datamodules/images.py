"""What every data source provides: two splits of labelled images."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Channels = tuple[float, float, float]
Pixels = NDArray[np.uint8]


class View(NamedTuple):
    """A box of a picture, which is resized to ``size`` x ``size`` pixels.

    The box is in pixels of the picture, where pixel i spans from i to i + 1; the area outside of the picture
    is black. Resampling uses pixels beyond the edges of the box, as if the whole picture were resized and
    then cropped.

    Attributes:
        whole: Height and width to which the whole picture is resized before the crop; None to resize only the
            box. Slower, but exact to the last bit where the edges of the box would be rounded.
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
        """The last row of the picture that resampling uses; it may be beyond the picture's end."""
        if self.whole is not None:
            return ceil(self.whole[0] * (self.bottom - self.top) / self.size)
        return ceil(self.bottom + max(1, (self.bottom - self.top) / self.size))


# Maps height and width of a picture to the part of it that is seen.
Chooser = Callable[[int, int], View]


class Parts(NamedTuple):
    """Parts in which images are downloaded, such as the chunks of a stream.

    Attributes:
        ends: Index of the image after each part's last.
        window: Number of images that are shuffled at a time; the parts that hold them have to be on this
            machine.
    """

    ends: NDArray[np.int64]
    window: int

    @property
    def lookahead(self) -> int:
        """How many images in advance a part is downloaded."""
        return self.window // 4


class NamedBytes(NamedTuple):
    """The content of a file, and its name for messages."""

    content: bytes
    name: str


class Split(Protocol):
    """The images of training or of validation."""

    def __len__(self) -> int:
        """Return the number of images."""

    def label(self, index: int) -> int:
        """Return the class of an image, from 0."""

    def read(self, index: int) -> Tensor:
        """Return the pixels of a whole image, uint8, 3 x height x width.

        Raises:
            UnreadableImage: It cannot be decoded.
        """

    def view(self, index: int, choose: Chooser, out: Pixels) -> None:
        """Decode a view of an image.

        Args:
            index: Index of the image.
            choose: Chooses the view, given the image's size.
            out: Receives the view, uint8, size x size x 3.

        Raises:
            UnreadableImage: It cannot be decoded.
        """

    def encoded(self, index: int) -> NamedBytes | None:
        """Return the file of an image unchanged; None if there are only pixels.

        Raises:
            UnreadableImage: It cannot be read at all.
        """

    def digest(self) -> str:
        """Return a digest of images and labels; see `datamodules.manifest`."""


@runtime_checkable
class PixelSplit(Split, Protocol):
    """Images of equal size, all in memory."""

    @property
    def pixels(self) -> Tensor:
        """All distinct images: uint8, M x channels x height x width; a single channel is greyscale."""

    def place(self, index: int) -> int:
        """Return the index of an image in `pixels`."""


@runtime_checkable
class StreamedSplit(Split, Protocol):
    """Images in parts, which have to be downloaded."""

    @property
    def parts(self) -> Parts | None:
        """The parts; None if all of them are on this machine already."""

    @property
    def labels(self) -> NDArray[np.integer[Any]] | None:
        """Labels of all images; None if they can only be read from the parts."""

    def expect(self, index: int) -> None:
        """Start to download the part of an image that will be needed soon."""


def as_streamed(split: Split) -> StreamedSplit | None:
    """Return a split whose parts have to be downloaded; None for any other split."""
    return split if isinstance(split, StreamedSplit) and split.parts is not None else None


@dataclass(frozen=True)
class Images:
    """An opened data source.

    Attributes:
        class_names: Class names in the order of the labels.
        train: Training images.
        val: Validation images.
        mean: Mean of each channel of the training images, where white is 1.
        std: Standard deviation of each channel of the training images.
        can_mirror: Whether a mirrored image still shows the same class.
    """

    class_names: tuple[str, ...]
    train: Split
    val: Split
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    can_mirror: bool = True
