"""What happens to training images, in the manner of each paper: which part is seen, in which colours.

A picture's view is chosen first (`datamodules.views`), so that only what is seen gets decoded and resized.
All of it gives uint8; `datamodules.imagenet` normalises on the device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from datamodules.views import (
    Chooser,
    Draughtsman,
    TrainingViews,
    center,
    margin,
    padded_crop,
    random_resized_crop,
    scale_jitter,
    square_crop,
)

# Krizhevsky 2012, section 4.1: eigenvalues and eigenvectors (columns) of the RGB values of ImageNet.
PCA_VALUES = (0.2175, 0.0188, 0.0045)
PCA_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


class PCAColour(nn.Module):
    """Shifts the colour of a whole image along the principal components of ImageNet's.

    Krizhevsky 2012, section 4.1, on pixels from 0 to 1: each component is scaled by its eigenvalue times a
    draw from N(0, 0.1). The code of 2012 has "stdevs" in their place; the paper is followed.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Maps uint8 3 x H x W to the same."""
        draws = torch.randn(3) * 0.1 * torch.tensor(PCA_VALUES)
        shift = torch.tensor(PCA_VECTORS) @ draws * 255
        return (image + shift[:, None, None]).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Augmentation:
    """What a training image goes through.

    Attributes:
        name: In recipes and configurations.
        view: Chooses the part of the picture that is seen.
        colour: Builds what changes the colours of a view, uint8 3 x S x S to the same.
        whole: Whether validation sees pictures whole; most cut a margin off.
    """

    name: str
    view: Draughtsman
    colour: Callable[[], nn.Module] | None = None
    whole: bool = False


def _jitter() -> nn.Module:
    """Howard's photometric distortions, which the paper names without amounts; 40 % each way is ours."""
    jitter: nn.Module = v2.ColorJitter(0.4, 0.4, 0.4)
    return jitter


AUGMENTATIONS: dict[str, Augmentation] = {
    augmentation.name: augmentation
    for augmentation in (
        # Short side 256, center 256 x 256, random 224 x 224.
        Augmentation("light", square_crop),
        # Krizhevsky 2012: the same, colour by PCA.
        Augmentation("alexnet", square_crop, PCAColour),
        # Simonyan and Zisserman 2014: short side from 256 to 512, random 224 x 224, colour by PCA.
        Augmentation("vgg", partial(scale_jitter, largest=512), PCAColour),
        # He 2015: short side from 256 to 480, random 224 x 224, colour by PCA.
        Augmentation("resnet", partial(scale_jitter, largest=480), PCAColour),
        # Szegedy 2014: 8 to 100 % of the area, sides 3:4 to 4:3, brightness, contrast and saturation.
        Augmentation("googlenet", random_resized_crop, _jitter),
        # The same without colour, as most trainings since 2014.
        Augmentation("modern", random_resized_crop),
        # He 2015, section 4.2. Small images fill the view already; they are tested whole.
        Augmentation("cifar", padded_crop, whole=True),
    )
}


def get(name: str) -> Augmentation:
    """Returns the augmentation of a name.

    Raises:
        ValueError: There is none; the message lists those there are.
    """
    if name not in AUGMENTATIONS:
        raise ValueError(f"There is no augmentation {name!r}; choose one of: {', '.join(AUGMENTATIONS)}.")
    return AUGMENTATIONS[name]


def training_views(augmentation: Augmentation, image_size: int, can_mirror: bool) -> TrainingViews:
    """Returns what chooses the views of training images; see `TrainingViews`."""
    return TrainingViews(augmentation.view, image_size, can_mirror)


def validation_view(augmentation: Augmentation, image_size: int) -> Chooser:
    """Returns what chooses the view of a validation image: short side 256, center 224 x 224."""
    return partial(center, image_size if augmentation.whole else margin(image_size, 256), image_size)
