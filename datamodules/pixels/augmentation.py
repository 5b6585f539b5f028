"""What happens to training images, in the manner of each paper and of today.

A picture's view is chosen first (`datamodules.pixels.views`), so that only what is seen gets decoded and
resized; the processes that read images do that, and some random operations. The rest happens to the whole
batch on its device. Every draw depends on the seed of an image alone.
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
    """What a training image goes through, in this order.

    Attributes:
        name: In recipes and configurations.
        description: One sentence for people.
        view: Chooses the part of the picture that is seen.
        policy: Random operations on the view.
        colour: Changes the colours of a batch.
        erases: Whether some images lose a rectangle.
        mixes: Whether images are mixed with each other, and their labels with them.
        whole: Whether validation sees pictures whole; most cut a margin off.
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
        """Do on its device what is left to do to a batch of training images.

        Args:
            images: uint8, or float32 which may be written over; N x 3 x S x S, from 0 to 255.
            labels: N.
            seeds: N, of the images.
            normalise: Maps pixels to what the network takes, where 0 is the mean colour.
            num_classes: Width of the labels of mixed images.

        Returns:
            The images; N labels or, of mixed images, the share of every class, N x num_classes.
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
        # Szegedy 2014, section 6, names Howard's photometric distortions without amounts; 40 % is ours. It
        # draws how to interpolate, too; we always do so bilinearly.
        Augmentation(
            "googlenet",
            "Crops of 8 to 100 % of the area, sides 3:4 to 4:3; brightness, contrast and saturation by 40 %.",
            random_resized_crop,
            colour=jitter_colour,
        ),
        Augmentation("modern", "Crops of 8 to 100 % of the area, sides 3:4 to 4:3.", random_resized_crop),
        # He 2015, section 4.2. Small images fill the view already; they are tested whole.
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
        # smoothing, 600 epochs and averaged weights are that recipe's, too, but no augmentation.
        Augmentation(
            "heavy",
            "For long trainings, as torchvision since 2021: TrivialAugment, random erasing, mixup, CutMix.",
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
    """Return what chooses the views of training images; see `TrainingViews`."""
    return TrainingViews(augmentation.view, image_size, can_mirror)


def validation_view(augmentation: Augmentation, image_size: int, resize: int = 256) -> Chooser:
    """Return what chooses the view of a validation image: short side ``resize``, center 224 x 224."""
    return partial(center, image_size if augmentation.whole else margin(image_size, resize), image_size)
