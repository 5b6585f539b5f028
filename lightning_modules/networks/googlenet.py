"""GoogLeNet, from "Going Deeper with Convolutions".

Szegedy et al. (arXiv 1409.4842, CVPR 2015), table 1.

The input is N x 3 x 224 x 224 (sizes from 47 px on work), the output N x classes, in training mode also the
logits of two auxiliary classifiers. With 1000 classes, it has 6,998,552 parameters (13,378,280 with both
heads) and 1,582,671,872 multiply-accumulates.

GoogLeNet-BN is torchvision's ``googlenet``, a port of TensorFlow's Inception-v1. It works with sizes from 15
px on and has 6,624,904 parameters (13,004,888 with both heads) and 1,498,376,192 multiply-accumulates. In
contrast to the paper's network, it has batch normalisation (epsilon 1e-3, not PyTorch's 1e-5) after every
convolution instead of biases, no local response normalisation, 3x3 convolutions instead of 5x5, a last pool
between stages of 2x2 instead of 3x3, dropout of 0.2 instead of 0.4, and heads whose first pool always has an
output of 4x4.

Deviations:
    - In table 1, some numbers of parameters and operations do not agree with the widths (mainly those of the
      first convolution). The widths are used here, as in all other implementations.
    - The paper specifies neither the constants of local response normalisation, nor the initialisation, nor
      the rounding of the pools. All three follow Caffe's configuration of this network: k = 1, n = 5,
      alpha = 1e-4 of the mean square, beta = 0.75; uniform weights of variance 1/fan_in and biases of
      0.2 (0 in the classifiers); sizes are rounded up.
    - At sizes other than 224 px, the last pool averages the whole map, and the heads fit their maps.
    - There is no (Polyak) averaging of the weights during training.
    - GoogLeNet-BN has the same initialisation. torchvision draws all weights from N(0, 0.01), so that
      activations shrink from layer to layer and depend on batch normalisation.
    - In training mode, the logits of the head after 4a come before those of the head after 4d; torchvision
      has the opposite order.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from lightning_modules.architecture import Architecture, Counterpart, Paper
from lightning_modules.networks.auxiliary import AuxiliaryHead, HeadedNetwork
from lightning_modules.networks.local_response_norm import LocalResponseNorm
from lightning_modules.published import CENTER, CROPS_144, TEN_CROPS, TEST, VAL, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Step

# Columns of table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def convolve(
    channels: int, width: int, kernel: int, stride: int = 1, *, batch_norm: bool = False
) -> nn.Module:
    """Build a convolution with bias or batch normalisation, padded to keep the size at stride 1."""
    padding = kernel // 2
    if not batch_norm:
        return nn.Conv2d(channels, width, kernel, stride, padding)
    convolution = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width, eps=1e-3))


class Inception(nn.Module):
    """Four parallel branches whose outputs are concatenated; figure 2(b).

    Args:
        channels: Channels of the input.
        widths: A row of ``WIDTHS``; the output has the channels of 1x1, 3x3, 5x5 and the pool projection.
        batch_norm: Whether to build torchvision's variant, with batch normalisation and 3x3 instead of 5x5.
    """

    def __init__(
        self, channels: int, widths: tuple[int, int, int, int, int, int], batch_norm: bool = False
    ) -> None:
        super().__init__()
        one, three_reduce, three, five_reduce, five, projection = widths
        conv = partial(convolve, batch_norm=batch_norm)
        self.branch1 = conv(channels, one, 1)
        self.branch2 = nn.Sequential(
            conv(channels, three_reduce, 1), nn.ReLU(inplace=True), conv(three_reduce, three, 3)
        )
        self.branch3 = nn.Sequential(
            conv(channels, five_reduce, 1),
            nn.ReLU(inplace=True),
            conv(five_reduce, five, 3 if batch_norm else 5),
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(channels, projection, 1))
        # Once for the concatenation instead of once per branch, so that autograd keeps one copy and not two.
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C' x H x W."""
        branches = (self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x))
        output: Tensor = self.relu(torch.cat(branches, 1))
        return output


class Classifier(AuxiliaryHead):
    """A classifier of an intermediate feature map, for better gradients in the lower layers; section 5."""

    def __init__(self, channels: int, side: int, num_classes: int, batch_norm: bool = False) -> None:
        pooled = 4 if batch_norm else -(-(side - 5) // 3) + 1
        super().__init__(
            nn.AdaptiveAvgPool2d(4) if batch_norm else nn.AvgPool2d(5, 3, ceil_mode=True),  # N x C x 4 x 4
            convolve(channels, 128, 1, batch_norm=batch_norm),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(128 * pooled * pooled, 1024),
            nn.ReLU(inplace=True),
            nn.Dropout(0.7),
            nn.Linear(1024, num_classes),
        )


class GoogLeNet(HeadedNetwork):
    """The 22-layer network of 2014, with Caffe's initialisation.

    Args:
        num_classes: Number of classes.
        image_size: Height and width of the input, on which the paper's heads depend.
        batch_norm: Whether to build torchvision's variant.
    """

    auxiliary_weights: tuple[float, ...] = (0.3, 0.3)

    def __init__(self, num_classes: int, image_size: int, batch_norm: bool = False) -> None:
        super().__init__()
        side = map_side(image_size)
        conv = partial(convolve, batch_norm=batch_norm)
        inception = partial(Inception, batch_norm=batch_norm)
        head = partial(Classifier, side=side, num_classes=num_classes, batch_norm=batch_norm)
        norm1, norm2 = (
            nn.Identity() if batch_norm else LocalResponseNorm(width, k=1.0) for width in (64, 192)
        )
        self.conv1 = nn.Sequential(conv(3, 64, 7, 2), nn.ReLU(inplace=True))  # 64 x 112 x 112
        self.pool1 = nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), norm1)  # 64 x 56 x 56
        self.conv2 = nn.Sequential(  # 192 x 56 x 56
            conv(64, 64, 1), nn.ReLU(inplace=True), conv(64, 192, 3), nn.ReLU(inplace=True), norm2
        )
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)  # 192 x 28 x 28
        self.inception3a = inception(192, WIDTHS["3a"])  # 256 x 28 x 28
        self.inception3b = inception(256, WIDTHS["3b"])  # 480 x 28 x 28
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)  # 480 x 14 x 14
        self.inception4a = inception(480, WIDTHS["4a"])  # 512 x 14 x 14
        self.auxiliary1 = head(512)
        self.inception4b = inception(512, WIDTHS["4b"])  # 512 x 14 x 14
        self.inception4c = inception(512, WIDTHS["4c"])  # 512 x 14 x 14
        self.inception4d = inception(512, WIDTHS["4d"])  # 528 x 14 x 14
        self.auxiliary2 = head(528)
        self.inception4e = inception(528, WIDTHS["4e"])  # 832 x 14 x 14
        self.pool4 = nn.MaxPool2d(2 if batch_norm else 3, 2, ceil_mode=True)  # 832 x 7 x 7
        self.inception5a = inception(832, WIDTHS["5a"])  # 832 x 7 x 7
        self.inception5b = inception(832, WIDTHS["5b"])  # 1024 x 7 x 7
        dropout = nn.Dropout(0.2 if batch_norm else 0.4)
        self.pool5 = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), dropout)  # 1024
        self.fc = nn.Linear(1024, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights from uniform distributions of variance 1/fan_in; biases are 0.2, in classifiers 0."""
        classifiers = {self.fc, self.auxiliary1[-1], self.auxiliary2[-1]}
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")
                if layer.bias is not None:
                    nn.init.constant_(layer.bias, 0.0 if layer in classifiers else 0.2)


def map_side(image_size: int) -> int:
    """Return the side of the maps of the fourth stage: 14 for 224 pixels, 3 for 47, 1 for 15."""
    side = (image_size + 1) // 2
    for _ in range(3):
        side = side // 2
    return side


PAPER = Paper(
    title="Going Deeper with Convolutions",
    authors="Christian Szegedy, Wei Liu, Yangqing Jia, Pierre Sermanet, Scott Reed, Dragomir Anguelov, "
    "Dumitru Erhan, Vincent Vanhoucke, Andrew Rabinovich",
    venue="CVPR 2015",
    year=2014,
    url="https://arxiv.org/abs/1409.4842",
)
PAPER_RECIPE = Recipe(
    source="Szegedy 2014, section 6",
    learning_rate=0.01,
    weight_decay=2e-4,
    batch_size=32,
    epochs=250,
    schedule=Step(every_epochs=8, multiplier=0.96),
    augmentation="googlenet",
    open_choices=(
        "Learning rate, weight decay, batch size and number of epochs are not specified; they are Caffe's.",
        "The paper trains asynchronously on many machines and averages the weights; we do neither.",
        "The strength of the photometric distortions is not specified; here it is up to 40 %.",
        "Interpolation is always bilinear; the paper chooses one of four methods at random.",
    ),
)
BN_PAPER_RECIPE = replace(
    PAPER_RECIPE,
    open_choices=(
        *PAPER_RECIPE.open_choices,
        "This variant has no paper; the recipe is for the network without batch normalisation.",
    ),
)
PUBLISHED = (
    PublishedError(None, 10.07, VAL, CENTER, "Szegedy 2014, Table 3"),
    PublishedError(None, 9.15, VAL, TEN_CROPS, "Szegedy 2014, Table 3"),
    PublishedError(None, 7.89, VAL, CROPS_144, "Szegedy 2014, Table 3"),
    PublishedError(31.3, 11.1, VAL, CENTER, "Caffe bvlc_googlenet", trained_by="others"),
    PublishedError(None, 6.67, VAL, CROPS_144, "Szegedy 2014, Table 3", models=7),
    PublishedError(None, 6.67, TEST, CROPS_144, "Szegedy 2014, Table 2", models=7),
)
WITHOUT = "the network without batch normalisation"
BN_PUBLISHED = (
    PublishedError(None, 10.07, VAL, CENTER, "Szegedy 2014, Table 3", is_relative=True, note=WITHOUT),
    PublishedError(
        30.222, 10.47, VAL, CENTER, "torchvision IMAGENET1K_V1", note="weights ported from TensorFlow"
    ),
    PublishedError(30.2, 10.4, VAL, CENTER, "TF-slim inception_v1", trained_by="others"),
)

ARCHITECTURES = (
    Architecture(
        key="googlenet",
        name="GoogLeNet",
        family="GoogLeNet",
        paper=PAPER,
        network=GoogLeNet,
        input_size=224,
        minimum_size=47,
        published=PUBLISHED,
        recipes={"paper": PAPER_RECIPE, "modern": modern(0.01), "quick": quick(1e-3, epochs=5)},
        depth=22,
        note="Nine inception modules; two auxiliary classifiers that are used in training only.",
        differences=(
            "torchvision's googlenet is another network (here GoogLeNet-BN): batch norm, and 3x3 for 5x5.",
            "Keras has no GoogLeNet.",
        ),
    ),
    Architecture(
        key="googlenet_bn",
        name="GoogLeNet-BN",
        family="GoogLeNet",
        paper=PAPER,
        network=partial(GoogLeNet, batch_norm=True),
        input_size=224,
        minimum_size=15,
        published=BN_PUBLISHED,
        recipes={"paper": BN_PAPER_RECIPE, "modern": modern(0.1), "quick": quick(1e-3, epochs=5)},
        depth=22,
        note="torchvision's GoogLeNet: batch norm instead of biases and response norm, 3x3 instead of 5x5.",
        counterpart=Counterpart("torchvision", "googlenet", heads=("aux",)),
        differences=(
            "torchvision rescales the input for its ported weights (transform_input); we do not.",
            "torchvision returns the second head's logits before the first's.",
            "torchvision's number of parameters (6,624,904) does not include the heads, which we train.",
            "Keras has no GoogLeNet.",
        ),
    ),
)
