"""The description of a network: its paper, published errors, recipes and options."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import nn

from lightning_modules.problems import InvalidChoice
from lightning_modules.published import PublishedError
from lightning_modules.recipes import Recipe
from problems import InvalidValue


@dataclass(frozen=True)
class Paper:
    """The publication of an architecture.

    ``year`` is the year of the first public version and of the ILSVRC entry, not of the proceedings.
    """

    title: str
    authors: str
    venue: str
    year: int
    url: str


@dataclass(frozen=True)
class Counterpart:
    """The same network in another library, with the same layers in the same order.

    Args:
        library: The library.
        name: Name of the network there.
        options: Our options with which it is the same, unless all have their defaults.
        heads: Prefixes of the names of its auxiliary heads, which may be listed in another place than ours.
    """

    library: Literal["torchvision", "timm"]
    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained.

    Args:
        key: Name in configurations.
        name: Name on pages and in messages.
        family: Name of its family; each family is one file.
        paper: Its publication.
        network: Builds the network from ``num_classes``, ``image_size`` and the options.
        input_size: Size of the paper's training images, in pixels.
        minimum_size: Size of the smallest image that the network can classify, in pixels.
        published: Published errors; the first is the reference in charts, see ``reference``.
        recipes: Ways to train it: ``paper``, ``modern`` and ``quick``.
        depth: Number of layers with weights on the longest path, as the paper counts them.
        num_classes: Number of classes in the paper.
        options: Allowed values of each option; the first is the default.
        note: One sentence about what is special.
        counterpart: The same network in another library, whose weights fit.
        keras_depth: Depth in Keras's table of applications, for networks that Keras has.
        differences: Differences of the versions in torchvision and Keras, a sentence each.
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
    counterpart: Counterpart | None = None
    keras_depth: int | None = None
    differences: tuple[str, ...] = ()

    @property
    def year(self) -> int:
        """Year of the paper."""
        return self.paper.year

    @property
    def reference(self) -> PublishedError | None:
        """The paper's own result for a single network with the simplest protocol, if there is one."""
        return self.published[0] if self.published else None

    def build(
        self, num_classes: int | None = None, image_size: int | None = None, **options: str
    ) -> nn.Module:
        """Build the network, newly initialised.

        Args:
            num_classes: Number of classes; the paper's if ``None``.
            image_size: Height and width of the square input in pixels; the paper's if ``None``.
            **options: Values of options, such as ``stride_on="3x3"``.

        Returns:
            A module that maps N x 3 x S x S to N x classes. Its children, in order, are its stages.

        Raises:
            InvalidValue: The image is too small, there are fewer than 2 classes, or an option is unknown.
        """
        size = self.input_size if image_size is None else image_size
        self.check_size(size)
        classes = self.num_classes if num_classes is None else num_classes
        if classes < 2:
            raise InvalidValue(InvalidChoice.NUM_CLASSES, num_classes=classes)
        return self.network(classes, size, **self.check_options(options))

    def check_size(self, image_size: int) -> None:
        """Check that an image is large enough for the network.

        Raises:
            InvalidValue: It is too small; the message names the smallest size.
        """
        if image_size < self.minimum_size:
            raise InvalidValue(
                InvalidChoice.IMAGE_TOO_SMALL,
                image_size=image_size,
                network=self.name,
                smallest=self.minimum_size,
            )

    def check_options(self, options: Mapping[str, str]) -> dict[str, str]:
        """Return the options with the defaults of those that are missing.

        Raises:
            InvalidValue: An option or its value is unknown; the message lists what is allowed.
        """
        for name, value in options.items():
            if name not in self.options:
                allowed = ", ".join(self.options) or "none"
                raise InvalidValue(InvalidChoice.NO_OPTION, network=self.name, option=name, allowed=allowed)
            if value not in self.options[name]:
                allowed = ", ".join(self.options[name])
                raise InvalidValue(
                    InvalidChoice.NO_OPTION_VALUE,
                    network=self.name,
                    option=name,
                    value=value,
                    allowed=allowed,
                )
        return {name: options.get(name, allowed[0]) for name, allowed in self.options.items()}

    def get_recipe(self, name: str, learning_rate: float | None = None) -> Recipe:
        """Return the recipe with a name, with another learning rate if one is given.

        Raises:
            InvalidValue: There is no such recipe, or the learning rate is not positive.
        """
        if name not in self.recipes:
            allowed = ", ".join(self.recipes)
            raise InvalidValue(InvalidChoice.NO_RECIPE, network=self.name, recipe=name, allowed=allowed)
        recipe = self.recipes[name]
        return recipe if learning_rate is None else replace(recipe, learning_rate=learning_rate)
