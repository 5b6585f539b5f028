"""Published errors as data: on which images, how an image became a prediction, and who had trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VAL, TEST = "ILSVRC2012 val", "ILSVRC2012 test"
# Those with doubtful labels left out, as the authors of Inception-v3 did.
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
    """How an image becomes a prediction.

    Args:
        method: Where the network looks; predictions are averaged over all of them.
        scales: Short sides in pixels that the image is resized to; empty for the usual one.
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
    """One published result, in percent; ``None`` where the source gives no figure.

    Args:
        top1: Top-1 error.
        top5: Top-5 error.
        split: The images it was measured on, such as ``ILSVRC2012 val``.
        protocol: How an image became a prediction.
        source: Table or file that prints the figures.
        models: Number of networks averaged.
        trained_by: The authors of the network, whoever ported or tested it, or others.
        options: Of the network that was tested, where not all are at their default.
        is_relative: Whether it belongs to a relative of the network and is listed for reference only.
        note: What else distinguishes it.
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
        """Where it is printed, and of which training, in one line."""
        options = ", ".join(f"{name} {value}" for name, value in self.options.items()).replace("_", " ")
        by = "trained by others" if self.trained_by == "others" else ""
        return ", ".join(filter(None, (self.source, by, options, self.note)))
