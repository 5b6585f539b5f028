"""What the registry knows about a network besides its layers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import nn

from lightning_modules.published import PublishedError
from lightning_modules.recipes import Recipe


@dataclass(frozen=True)
class Paper:
    """Where an architecture was published.

    ``year`` is that of the first public version and of the ILSVRC entry, not of the proceedings.
    """

    title: str
    authors: str
    venue: str
    year: int
    url: str


@dataclass(frozen=True)
class Twin:
    """The very same network in another library: its layers, in the order they are listed, are ours.

    Args:
        library: Where it is.
        name: What builds it there.
        options: Under which of our options it is the same, where not all are at their default.
        heads: What the names of its auxiliary heads start with; they may be listed elsewhere than ours.
    """

    library: Literal["torchvision", "timm"]
    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """A network one can train, by key.

    Args:
        key: Its name in configurations.
        name: Its name for people.
        family: What it shares a file with.
        paper: Where it was published.
        network: Builds it from ``num_classes``, ``image_size`` and the options.
        input_size: The paper's training crop, in pixels.
        minimum_size: The smallest image, in pixels, that leaves something to classify.
        published: Results; the first is the reference mark of charts, see ``reference``.
        recipes: How to train it: ``paper``, ``modern`` and ``quick``.
        depth: Layers with weights on the longest path, as the paper counts them.
        num_classes: Of the images the paper is about.
        options: Choices by name; the first value of each is the default.
        note: One sentence about what is special.
        twin: The same network in another library, whose weights fit.
        keras_depth: What Keras's table of applications counts as its depth, for networks Keras has.
        differences: How the versions in torchvision and Keras differ from this one, a sentence each.
    """

    key: str
    name: str
    family: str
    paper: Paper
    network: Callable[..., nn.Module]
    input_size: int
    minimum_size: int
    published: tuple[PublishedError, ...]
    recipes: Mapping[str, Recipe]
    depth: int
    num_classes: int = 1000
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""
    twin: Twin | None = None
    keras_depth: int | None = None
    differences: tuple[str, ...] = ()

    @property
    def year(self) -> int:
        """Year of the paper."""
        return self.paper.year

    @property
    def reference(self) -> PublishedError | None:
        """What the paper itself reports for one such network by its simplest protocol, if anything."""
        return self.published[0] if self.published else None

    def build(
        self, num_classes: int | None = None, image_size: int | None = None, **options: str
    ) -> nn.Module:
        """Builds the network with fresh weights.

        Args:
            num_classes: Width of the classifier; the paper's if ``None``.
            image_size: Height and width of the square input in pixels; the paper's if ``None``.
            **options: Choices by name, such as ``stride_on="3x3"``.

        Returns:
            A module that maps N x 3 x S x S to N x classes. Its children, in order, are its stages.

        Raises:
            ValueError: The image is too small, a number of classes below 2, or an option unknown.
        """
        size = self.input_size if image_size is None else image_size
        self.check_size(size)
        classes = self.num_classes if num_classes is None else num_classes
        if classes < 2:
            raise ValueError(f"num_classes is {classes}; a classifier needs 2 or more.")
        return self.network(classes, size, **self.check_options(options))

    def check_size(self, image_size: int) -> None:
        """Makes sure that an image survives all the strides.

        Raises:
            ValueError: It does not; the message names the smallest size that does.
        """
        if image_size < self.minimum_size:
            raise ValueError(
                f"image_size is {image_size}, too small for {self.name}: "
                f"{self.minimum_size} is the smallest that works."
            )

    def check_options(self, options: Mapping[str, str]) -> dict[str, str]:
        """Returns the options with defaults filled in.

        Raises:
            ValueError: An option or its value is unknown; the message names what is allowed.
        """
        for name, value in options.items():
            if name not in self.options:
                allowed = ", ".join(self.options) or "none"
                raise ValueError(f"{self.name} has no option {name!r}; its options: {allowed}.")
            if value not in self.options[name]:
                allowed = ", ".join(self.options[name])
                raise ValueError(f"{name} of {self.name} cannot be {value!r}; choose one of: {allowed}.")
        return {name: options.get(name, allowed[0]) for name, allowed in self.options.items()}

    def get_recipe(self, name: str, learning_rate: float | None = None) -> Recipe:
        """Returns a recipe by name, with another learning rate if one is given.

        Raises:
            ValueError: There is no such recipe, or the learning rate is not positive.
        """
        if name not in self.recipes:
            raise ValueError(f"{self.name} has no recipe {name!r}; choose one of: {', '.join(self.recipes)}.")
        recipe = self.recipes[name]
        return recipe if learning_rate is None else replace(recipe, learning_rate=learning_rate)
