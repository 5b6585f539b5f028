"""What happens to images on their way in: crops, mirrors and colour, in the manner of each paper.

All of it maps uint8 pixels to uint8 pixels; `datamodules.imagenet` normalises on the device. Sizes follow
the papers in proportion: where they cut 224 pixels out of 256, 64 are cut out of 73.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

# Krizhevsky 2012, section 4.1: eigenvalues and eigenvectors (columns) of the RGB values of ImageNet.
PCA_VALUES = (0.2175, 0.0188, 0.0045)
PCA_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

Builder = Callable[[int], list[nn.Module]]


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


def margin(image_size: int, paper_size: int) -> int:
    """Returns the pixels that correspond to ``paper_size`` where the crop has ``image_size`` and not 224."""
    return round(image_size * paper_size / 224)


def light(image_size: int) -> list[nn.Module]:
    """Short side 256, center 256 x 256, random 224 x 224."""
    side = margin(image_size, 256)
    return [v2.Resize(side, antialias=True), v2.CenterCrop(side), v2.RandomCrop(image_size)]


def alexnet(image_size: int) -> list[nn.Module]:
    """Krizhevsky 2012: short side 256, center 256 x 256, random 224 x 224, colour by PCA."""
    return [*light(image_size), PCAColour()]


def vgg(image_size: int) -> list[nn.Module]:
    """Simonyan and Zisserman 2014: short side from 256 to 512, random 224 x 224, colour by PCA."""
    return [*_scale_jitter(image_size, 512), PCAColour()]


def resnet(image_size: int) -> list[nn.Module]:
    """He 2015: short side from 256 to 480, random 224 x 224, colour by PCA."""
    return [*_scale_jitter(image_size, 480), PCAColour()]


def googlenet(image_size: int) -> list[nn.Module]:
    """Szegedy 2014: patches of 8 to 100 % of the area, sides 3:4 to 4:3, brightness, contrast, saturation.

    The paper names Howard's photometric distortions without their amounts; 40 % each way is ours.
    """
    return [*modern(image_size), v2.ColorJitter(0.4, 0.4, 0.4)]


def modern(image_size: int) -> list[nn.Module]:
    """Patches of 8 to 100 % of the area, sides 3:4 to 4:3, as most trainings since 2014."""
    return [v2.RandomResizedCrop(image_size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), antialias=True)]


def cifar(image_size: int) -> list[nn.Module]:
    """He 2015, section 4.2: 4 pixels of padding for each 32 on all sides, random 32 x 32."""
    margins = round(image_size / 8)
    return [
        v2.Resize(image_size, antialias=True),
        v2.CenterCrop(image_size),
        v2.Pad(margins),
        v2.RandomCrop(image_size),
    ]


def _scale_jitter(image_size: int, largest: int) -> list[nn.Module]:
    sides = list(range(margin(image_size, 256), margin(image_size, largest) + 1))
    return [v2.RandomShortestSize(sides, antialias=True), v2.RandomCrop(image_size)]


AUGMENTATIONS: dict[str, Builder] = {
    builder.__name__: builder for builder in (light, alexnet, vgg, resnet, googlenet, modern, cifar)
}

# Small images fill the view already; they are tested whole (He 2015, section 4.2).
WHOLE = frozenset({"cifar"})


def build_training(name: str, image_size: int, can_mirror: bool) -> v2.Compose:
    """Returns what a training image goes through.

    Args:
        name: A key of ``AUGMENTATIONS``.
        image_size: Side of the result in pixels.
        can_mirror: Whether to mirror every other image.

    Raises:
        ValueError: There is no such augmentation.
    """
    if name not in AUGMENTATIONS:
        raise ValueError(f"There is no augmentation {name!r}; choose one of: {', '.join(AUGMENTATIONS)}.")
    steps = AUGMENTATIONS[name](image_size)
    return v2.Compose([*steps, v2.RandomHorizontalFlip()] if can_mirror else steps)


def build_validation(image_size: int, name: str = "light") -> v2.Compose:
    """Returns what a validation image goes through: short side 256, center 224 x 224.

    Args:
        image_size: Side of the result in pixels.
        name: What happens to training images; after those of ``WHOLE`` nothing is cut off.
    """
    side = image_size if name in WHOLE else margin(image_size, 256)
    return v2.Compose([v2.Resize(side, antialias=True), v2.CenterCrop(image_size)])
