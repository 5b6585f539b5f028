"""Augmentations of the papers and of current recipes.

The view of a picture is chosen first (`datamodules.pixels.views`), so that only this part is decoded and
resized. The workers do this, and some random operations. The other operations are applied to the whole batch
on its device. Every draw depends only on the seed of an image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from datamodules.images import Chooser
from datamodules.pixels.colour import Colour, jitter_colour, shift_colour
from datamodules.pixels.mixing import erase, mix
from datamodules.pixels.policies import RANDAUGMENT, TRIVIALAUGMENT, Policy
from datamodules.pixels.views import (
    Draughtsman,
    TrainingViews,
    center,
    margin,
    padded_crop,
    random_resized_crop,
    scale_jitter,
    square_crop,
)
from datamodules.problems import Argument
from problems import InvalidValue


@dataclass(frozen=True)
class Augmentation:
    """An augmentation of training images: the operations in their order.

    Attributes:
        name: Name in recipes and configurations.
        description: One sentence for people.
        view: Chooses the part of the picture that is seen.
        policy: Random operations on the view.
        colour: Changes the colours of a batch.
        erases: Whether a rectangle is erased in some images.
        mixes: Whether images are mixed with each other, and their labels with them.
        whole: Whether validation uses whole pictures; others crop a margin.
    """

    name: str
    description: str
    view: Draughtsman
    policy: Policy | None = None
    colour: Colour | None = None
    erases: bool = False
    mixes: bool = False
    whole: bool = False

    def finish(
        self,
        images: Tensor,
        labels: Tensor,
        seeds: Tensor,
        normalise: Callable[[Tensor], Tensor],
        num_classes: int,
    ) -> tuple[Tensor, Tensor]:
        """Apply the remaining operations to a batch of training images on its device.

        Args:
            images: uint8, or float32 which may be overwritten; N x 3 x S x S, from 0 to 255.
            labels: Classes of the images, N.
            seeds: Seeds of the images, N.
            normalise: Normalises pixels, so that 0 is the mean colour.
            num_classes: Number of classes.

        Returns:
            The images, and their labels: N classes, or the shares of all classes in mixed images, N x
            num_classes.
        """
        if self.colour:
            images = self.colour(images.to(torch.float32, memory_format=torch.channels_last), seeds)
        images = normalise(images)
        if self.erases:
            images = erase(images, seeds)
        return mix(images, labels, seeds, num_classes) if self.mixes else (images, labels)


AUGMENTATIONS: dict[str, Augmentation] = {
    augmentation.name: augmentation
    for augmentation in (
        Augmentation(
            "light", "Random crops of the central square: 224 px of 256, or in proportion.", square_crop
        ),
        # Krizhevsky 2012, section 4.1.
        Augmentation(
            "alexnet",
            "Random crops of the central square, 224 px of 256; colours shifted along their main components.",
            square_crop,
            colour=shift_colour,
        ),
        # Simonyan and Zisserman 2014, section 3.1.
        Augmentation(
            "vgg",
            "Short side from 256 to 512 px, random crops of 224 px; colours shifted as for AlexNet.",
            partial(scale_jitter, largest=512),
            colour=shift_colour,
        ),
        # He 2015, section 3.4.
        Augmentation(
            "resnet",
            "Short side from 256 to 480 px, random crops of 224 px; colours shifted as for AlexNet.",
            partial(scale_jitter, largest=480),
            colour=shift_colour,
        ),
        # Szegedy 2014, section 6, mentions Howard's photometric distortions without magnitudes; 40 % is our
        # choice. The paper also draws the interpolation; here it is always bilinear.
        Augmentation(
            "googlenet",
            "Crops of 8 to 100 % of the area, sides 3:4 to 4:3; brightness, contrast and saturation by 40 %.",
            random_resized_crop,
            colour=jitter_colour,
        ),
        Augmentation("modern", "Crops of 8 to 100 % of the area, sides 3:4 to 4:3.", random_resized_crop),
        # He 2015, section 4.2. Small images fill the view; validation uses them whole.
        Augmentation(
            "cifar",
            "Whole images moved by up to 4 pixels of 32; validation sees them whole.",
            padded_crop,
            whole=True,
        ),
        # Cubuk 2020.
        Augmentation(
            "randaugment",
            "Crops as in modern, then two random operations on geometry or colour.",
            random_resized_crop,
            policy=RANDAUGMENT,
        ),
        # Zhang 2017 and Yun 2019; half of the images each.
        Augmentation(
            "mixup",
            "Crops as in modern, in pairs mixed by mixup or CutMix; training errors count the larger part.",
            random_resized_crop,
            mixes=True,
        ),
        # Vryniotis 2021, "How to train state-of-the-art models using TorchVision's latest primitives"; label
        # smoothing, 600 epochs and averaged weights are also part of that recipe, but not augmentations.
        Augmentation(
            "heavy",
            "For long trainings, like torchvision since 2021: TrivialAugment, random erasing, mixup, CutMix.",
            random_resized_crop,
            policy=TRIVIALAUGMENT,
            erases=True,
            mixes=True,
        ),
    )
}


def get(name: str) -> Augmentation:
    """Return the augmentation of a name.

    Raises:
        InvalidValue: There is none.
    """
    if name not in AUGMENTATIONS:
        raise InvalidValue(Argument.NO_AUGMENTATION, name=name, known=", ".join(AUGMENTATIONS))
    return AUGMENTATIONS[name]


def training_views(augmentation: Augmentation, image_size: int, can_mirror: bool) -> TrainingViews:
    """Return the views of training images; see `TrainingViews`."""
    return TrainingViews(augmentation.view, image_size, can_mirror)


def validation_view(augmentation: Augmentation, image_size: int, resize: int = 256) -> Chooser:
    """Return a function that chooses the view of a validation image: short side ``resize``, center 224."""
    return partial(center, image_size if augmentation.whole else margin(image_size, resize), image_size)
