"""Where in a network its parameters, multiply-accumulates and activations are, by resolution of the maps.

Networks that halve their maps at the same pace do not have maps of exactly the same size (AlexNet's 55 and
VGG's 56 pixels, say), so they are aligned by how often the image has been halved.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dashboard.launch.wording import join
from dashboard.widgets import formatting

if TYPE_CHECKING:
    from lightning_modules.ledger.table import Ledger

# Behind any number of halvings: layers that know no pixels.
HEAD = 99
HEAD_NAME = "fully connected"
QUARTER = 25

Cost = Literal["parameters", "macs", "activation_bytes"]
COSTS: Mapping[Cost, str] = {
    "parameters": "Parameters",
    "macs": "MACs for one image",
    "activation_bytes": "Activation memory for one image, float32",
}


@dataclass(frozen=True)
class Part:
    """What one network has at one resolution.

    Attributes:
        output_shape: of the last stage that ends there.
        side: of the map that comes out, in pixels; 0 where there is none.
        stages: that have a layer there.
        weighted_layers: convolutions and linear layers.
        parameters: trainable weights and biases.
        macs: multiply-accumulates for one image.
        activation_bytes: kept for the backward pass, for one image in float32.
    """

    output_shape: tuple[int, ...]
    side: int
    stages: tuple[str, ...]
    weighted_layers: int
    parameters: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class Split:
    """One network, taken apart by resolution."""

    name: str
    depth: int
    image_size: int
    parts: Mapping[int, Part]

    def total(self, cost: Cost) -> int:
        """Sum up a cost."""
        return sum(getattr(part, cost) for part in self.parts.values())

    def share(self, cost: Cost, halvings: Sequence[int]) -> float:
        """Describe how much of a cost is at some resolutions, in percent."""
        found: int = sum(getattr(self.parts[place], cost) for place in halvings if place in self.parts)
        return 100 * found / max(1, self.total(cost))


def take_apart(name: str, depth: int, image_size: int, ledger: "Ledger") -> Split:
    """Sort the layers of a network by the resolution of what they put out, auxiliary heads left out."""
    groups: dict[int, list[int]] = {}
    for index, layer in enumerate(ledger.layers):
        groups.setdefault(_place(layer.kind, layer.output_shape, image_size), []).append(index)
    # What a stage puts out, such as branches side by side, and not what the last of its layers does.
    outputs = {stage.name: stage.output_shape for stage in ledger.stages}
    ends = {layer.stage: index for index, layer in enumerate(ledger.layers)}
    parts = {}
    for place in sorted(groups):
        layers = [ledger.layers[index] for index in groups[place]]
        ended = [
            layer.stage
            for index, layer in zip(groups[place], layers, strict=True)
            if ends[layer.stage] == index
        ]
        last = layers[-1].output_shape
        parts[place] = Part(
            output_shape=outputs[ended[-1]] if ended else last,
            side=0 if place == HEAD else max(last[1:]),
            stages=tuple(dict.fromkeys(layer.stage for layer in layers)),
            weighted_layers=sum(layer.kind in ("conv", "linear") for layer in layers),
            parameters=sum(layer.parameters for layer in layers),
            macs=sum(layer.macs for layer in layers),
            activation_bytes=sum(layer.activation_bytes() for layer in layers),
        )
    return Split(name, depth, image_size, parts)


def _place(kind: str, output_shape: tuple[int, ...], image_size: int) -> int:
    """How often the image was halved; an average over the whole map already belongs to the classifier."""
    if len(output_shape) == 1 or (kind == "pool" and output_shape[1:] == (1, 1)):
        return HEAD
    return max(0, round(math.log2(image_size / max(output_shape[1:]))))


def every_place(splits: Sequence[Split]) -> list[int]:
    """List the resolutions that any of the networks has, from the image to the classes."""
    return sorted({place for split in splits for place in split.parts})


def place_name(place: int, splits: Sequence[Split]) -> str:
    """Name a resolution by the sides its maps have: `56 px`, or `55 to 56 px` where networks differ."""
    if place == HEAD:
        return HEAD_NAME
    sides = sorted({split.parts[place].side for split in splits if place in split.parts})
    return f"{sides[0]} to {sides[-1]} px" if len(sides) > 1 else f"{sides[0]} px"


def parameters_sentence(split: Split) -> str:
    """Describe where the parameters are: `89.4 % of VGG-16's 138 M parameters are in its 3 fully …`."""
    place = max(split.parts, key=lambda place: split.parts[place].parameters)
    part, share = split.parts[place], split.share("parameters", [place])
    total = formatting.short_count(split.total("parameters"))
    if place == HEAD:
        where = f"its {formatting.plural(part.weighted_layers, 'fully connected layer')}"
    else:
        where = f"its {formatting.plural(part.weighted_layers, 'layer')} at {part.side} px"
    return f"**{share:.1f} %** of {split.name}'s {total} parameters are in {where}."


def price_sentence(splits: Sequence[Split]) -> str:
    """Explain why the most expensive network costs more than the deepest other one; empty for a single one.

    The resolutions named are the largest ones that take a quarter of the dearest network's operations.
    """
    if len(splits) < 2:
        return ""
    dearest = max(splits, key=lambda split: split.total("macs"))
    other = max((split for split in splits if split is not dearest), key=lambda split: split.depth)
    places = [place for place in dearest.parts if place != HEAD]
    early = next(
        (
            places[:count]
            for count in range(1, len(places))
            if dearest.share("macs", places[:count]) >= QUARTER
        ),
        places,
    )
    sides = join(str(dearest.parts[place].side) for place in early)
    costs = [f"{split.total('macs') / 1e9:.2f} GMAC" for split in (other, dearest)]
    deeper = ", though deeper," if other.depth > dearest.depth else ""
    return (
        f"{other.name}{deeper} needs **{costs[0]}** against {dearest.name}'s **{costs[1]}**: {dearest.name} "
        f"spends {dearest.share('macs', early):.1f} % of them at {sides} px, {other.name} at this resolution "
        f"only {other.share('macs', early):.1f} %."
    )
