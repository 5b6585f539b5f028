"""Published errors by protocol: which can be set against each other, and where each network then stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracking.comparison import Summary
from tracking.runs import Run

if TYPE_CHECKING:
    from lightning_modules.architecture import Architecture
    from lightning_modules.published import PublishedError

METRICS: Mapping[str, str] = {"error_top1": "top1", "error_top5": "top5"}
# Fewer than two networks are no comparison.
FEWEST = 2

IMAGENET_CLASSES = 1000
IMAGENET_VAL_IMAGES = 50_000


@dataclass(frozen=True)
class Conditions:
    """On which images an error was measured, and how an image became a prediction."""

    split: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.split}, {self.protocol}"


# What `val` means to a run of ours on ImageNet's folders.
OURS = Conditions("ILSVRC2012 val", "center crop")


@dataclass(frozen=True)
class Standing:
    """One network at one protocol.

    Attributes:
        key: of the network.
        error: in percent.
        published: where the error was printed.
        options: of the network as it was tested.
    """

    key: str
    error: float
    published: "PublishedError"
    options: dict[str, str]

    @property
    def is_retraining(self) -> bool:
        """Whether others than the authors trained it."""
        return self.published.trained_by == "others"


def standings(
    architectures: "Mapping[str, Architecture]", metric: str, conditions: Conditions
) -> dict[str, Standing]:
    """Find what one network of each kind reached under a protocol; averages of several are left out.

    Where several figures were printed, the first one counts, which is the authors' own where they have one.

    Args:
        architectures: all networks.
        metric: a key of `METRICS`.
        conditions: the only ones looked at.
    """
    found: dict[str, Standing] = {}
    for key, architecture in architectures.items():
        for one in architecture.published:
            error = error_of(one, metric)
            is_own = one.models == 1 and not one.is_relative
            if error is not None and is_own and conditions_of(one) == conditions and key not in found:
                found[key] = Standing(key, error, one, dict(one.options))
    return found


def protocols(architectures: "Mapping[str, Architecture]", metric: str) -> dict[str, Conditions]:
    """List the protocols under which two or more networks were tested, the one of most networks first."""
    every = [conditions_of(one) for architecture in architectures.values() for one in architecture.published]
    counts = {one: len(standings(architectures, metric, one)) for one in dict.fromkeys(every)}
    shown = sorted((one for one in counts if counts[one] >= FEWEST), key=lambda one: (-counts[one], str(one)))
    return {str(one): one for one in shown}


def conditions_of(published: "PublishedError") -> Conditions:
    """Return the images and the protocol of a published error."""
    return Conditions(published.split, str(published.protocol))


def error_of(published: "PublishedError", metric: str) -> float | None:
    """Return a published error by the metric's name."""
    error: float | None = getattr(published, METRICS[metric])
    return error


def measured_alike(
    runs: Sequence[Run], architectures: "Mapping[str, Architecture]", conditions: Conditions
) -> list[Run]:
    """Keep the runs of ours that were measured as the protocol says: all of ImageNet's val, center crop.

    Args:
        runs: of a store.
        architectures: all networks.
        conditions: of the published errors beside which they would stand.
    """
    if conditions != OURS:
        return []
    known = [run for run in runs if run.architecture in architectures]
    return [run for run in known if is_imagenet(run, architectures[run.architecture].input_size)]


def is_imagenet(run: Run, input_size: int) -> bool:
    """Whether a run was validated on ImageNet's 1000 classes and 50,000 images, at its network's own size."""
    return (
        run.source == "folder"
        and run.number("num_classes") == IMAGENET_CLASSES
        and run.number("val_images") == IMAGENET_VAL_IMAGES
        and run.image_size == input_size
    )


def best_of_each(results: Sequence[Summary]) -> list[Summary]:
    """Keep the lowest error of each network; one that is not a number counts for nothing."""
    best: dict[str, Summary] = {}
    for one in results:
        key = one.run.architecture
        if one.best == one.best and (key not in best or one.best < best[key].best):
            best[key] = one
    return list(best.values())
