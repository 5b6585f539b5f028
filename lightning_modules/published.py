"""Published errors as data: the test images, the test protocol, and who trained the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VAL, TEST = "ILSVRC2012 val", "ILSVRC2012 test"
# Without images of doubtful labels, which the authors of Inception-v3 left out.
VAL_KEPT = "ILSVRC2012 val, 48,238 images"
CIFAR_TEST = "CIFAR-10 test"

Method = Literal[
    "center", "single-crop", "ten-crop", "crops-144", "crops-150", "dense", "crops-150-and-dense", "whole"
]
METHODS: Mapping[Method, str] = {
    "center": "center crop",
    "single-crop": "single crop",
    "ten-crop": "10 crops",
    "crops-144": "144 crops",
    "crops-150": "150 crops",
    "dense": "dense",
    "crops-150-and-dense": "150 crops and dense",
    "whole": "single view",
}


@dataclass(frozen=True)
class Protocol:
    """How a prediction is made for an image.

    Args:
        method: The crops of the image; the predictions for them are averaged.
        scales: Short sides in pixels to which the image is resized; empty for the usual one.
    """

    method: Method
    scales: tuple[int, ...] = ()

    def __str__(self) -> str:
        text, sizes = METHODS[self.method], ", ".join(map(str, self.scales))
        if self.method == "center" and sizes:
            return f"{text} after resizing to {sizes}"
        return f"{text}, scale{'s' if len(self.scales) > 1 else ''} {sizes}" if sizes else text


CENTER, SINGLE_CROP, TEN_CROPS = Protocol("center"), Protocol("single-crop"), Protocol("ten-crop")
CROPS_144, DENSE, WHOLE = Protocol("crops-144"), Protocol("dense"), Protocol("whole")


@dataclass(frozen=True)
class PublishedError:
    """One published result.

    Args:
        top1: Top-1 error in percent, ``None`` if the source does not give it.
        top5: Top-5 error in percent, ``None`` if the source does not give it.
        split: The test images, such as ``ILSVRC2012 val``.
        protocol: The test protocol.
        source: The table or file with the figures.
        models: Number of networks whose predictions were averaged.
        trained_by: Whether the authors of the network trained it, even if others ported or tested it.
        options: Options of the network that was tested, unless all have their defaults.
        is_relative: Whether it is the result of a similar network, listed for reference only.
        note: Other differences.
    """

    top1: float | None
    top5: float | None
    split: str
    protocol: Protocol
    source: str
    models: int = 1
    trained_by: Literal["authors", "others"] = "authors"
    options: Mapping[str, str] = field(default_factory=dict)
    is_relative: bool = False
    note: str = ""

    @property
    def origin(self) -> str:
        """The source and the kind of training, in one line."""
        options = ", ".join(f"{name} {value}" for name, value in self.options.items()).replace("_", " ")
        by = "trained by others" if self.trained_by == "others" else ""
        return ", ".join(filter(None, (self.source, by, options, self.note)))
