"""The ImageNet challenge (ILSVRC) in classification, 2010 to 2015: who won, with what error, who says so."""

from dataclasses import dataclass

PAGES = "image-net.org, as quoted by others"


@dataclass(frozen=True)
class Entry:
    """One entry of one year.

    Attributes:
        year: Of the challenge.
        team: What it was called there.
        top5: Top-5 error on that year's test images, in percent, with the supplied images only.
        source: Who prints the figure.
        is_winner: Whether it came first.
        networks: Keys of the networks of the catalogue it was made of.
        models: How many of them were averaged, None where that is not known.
        with_outside_images: Its error when it had trained on further images, None where there was no such.
        note: What else to know.
    """

    year: int
    team: str
    top5: float
    source: str
    is_winner: bool = True
    networks: tuple[str, ...] = ()
    models: int | None = None
    with_outside_images: float | None = None
    note: str = ""

    @property
    def has_other_images(self) -> bool:
        """Whether it was tested on other images than the entries from 2012 on."""
        return self.year < 2012


@dataclass(frozen=True)
class HumanEstimate:
    """How well a person did at the same task."""

    top5: float
    images: int
    source: str


ENTRIES = (
    Entry(2010, "NEC-UIUC", 28.191, PAGES, note="Sparse coding (Krizhevsky 2012, Table 1)."),
    Entry(2011, "XRCE", 25.770, PAGES),
    Entry(
        2012,
        "SuperVision",
        16.422,
        PAGES,
        networks=("alexnet",),
        models=5,
        with_outside_images=15.315,
        note="AlexNet. The additional images are those of ImageNet, Fall 2011.",
    ),
    Entry(
        2012,
        "ISI",
        26.2,
        "Krizhevsky 2012, Table 2",
        is_winner=False,
        note="Second: SIFT features and Fisher vectors.",
    ),
    Entry(
        2013,
        "Clarifai",
        11.743,
        PAGES,
        with_outside_images=11.197,
        note="A convolutional network that is not in this catalogue.",
    ),
    Entry(2014, "GoogLeNet", 6.656, PAGES, networks=("googlenet",), models=7),
    Entry(
        2014,
        "VGG",
        7.32,
        "Szegedy 2014, Table 2",
        is_winner=False,
        networks=("vgg16", "vgg19"),
        models=7,
        note="Second.",
    ),
    Entry(
        2015,
        "MSRA",
        3.567,
        PAGES,
        networks=("resnet152",),
        models=6,
        note="ResNets of several depths, two of them with 152 layers.",
    ),
)

HUMAN = HumanEstimate(5.1, 1500, "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge")
