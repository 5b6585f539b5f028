"""Inception-v3, from "Rethinking the Inception Architecture for Computer Vision".

Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (arXiv 1512.00567, CVPR 2016), as released with TensorFlow.

The input is N x 3 x 299 x 299 (sizes from 75 px on work), the output N x classes, in training mode also the
logits of an auxiliary classifier. With 1000 classes, it has 23,834,568 parameters (27,161,264 with the head)
and 5,713,216,096 multiply-accumulates.

Deviations:
    - Table 1 of the paper differs from the network that its authors released: other widths and strides in
      the first convolutions, one pool less, and three equal modules at 35 x 35. The released network is
      used here, as in all other implementations; no weights are known for that of the table.
    - Batch normalisation has TensorFlow's epsilon of 1e-3, with which ported weights were trained;
      PyTorch's default is 1e-5.
    - The average pools inside modules include the zeros of the padding, as in torchvision; TensorFlow and
      Keras exclude them, so ported weights have other results at the border.
    - The paper specifies no initialisation. Weights come from normal distributions with a standard deviation
      of 0.1, and of 0.01 and 0.001 in the head, as torchvision intends (its own code does not apply the
      0.01). torchvision's truncation at -2 and 2 is kept, but has no effect at twenty deviations.
    - The head's first pool reduces 17 x 17 to 5 x 5. Smaller maps are averaged to 5 x 5, which the next
      convolution needs; larger maps are averaged at the end.
    - There is no averaging of the weights during training.
"""

import torch
from torch import Tensor, nn

from lightning_modules.architecture import Architecture, Counterpart, Paper
from lightning_modules.networks.auxiliary import AuxiliaryHead, HeadedNetwork
from lightning_modules.published import CENTER, CROPS_144, SINGLE_CROP, TEST, VAL, VAL_KEPT, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Step

Kernel = int | tuple[int, int]


def convolve(
    channels: int, width: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0
) -> nn.Sequential:
    """Build a convolution without bias, with batch normalisation and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(width, eps=1e-3),
        nn.ReLU(inplace=True),
    )


def chain(channels: int, *convolutions: tuple[int, Kernel], stride: int = 1) -> nn.Sequential:
    """Build a sequence of convolutions with these widths and kernels, padded to keep the size.

    The stride is that of the last convolution, which is not padded if the stride is above 1.
    """
    layers = []
    for number, (width, kernel) in enumerate(convolutions, start=1):
        height, breadth = (kernel, kernel) if isinstance(kernel, int) else kernel
        if number == len(convolutions) and stride > 1:
            layers.append(convolve(channels, width, kernel, stride))
        else:
            layers.append(convolve(channels, width, kernel, padding=(height // 2, breadth // 2)))
        channels = width
    return nn.Sequential(*layers)


class Branches(nn.ModuleList):
    """Parallel branches whose outputs are concatenated."""

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C' x H' x W', where C' is the sum over the branches."""
        return torch.cat([branch(x) for branch in self], 1)


def average(channels: int, width: int) -> nn.Sequential:
    """Build the branch with 3x3 average pooling and a projection to ``width`` channels."""
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1), convolve(channels, width, 1))


def build_a(channels: int, projection: int) -> Branches:
    """Build a module for 35 x 35 with 224 + ``projection`` output channels; figure 5."""
    return Branches(
        (
            chain(channels, (64, 1)),
            chain(channels, (48, 1), (64, 5)),
            chain(channels, (64, 1), (96, 3), (96, 3)),
            average(channels, projection),
        )
    )


def build_b(channels: int) -> Branches:
    """Build the reduction from 35 x 35 to 17 x 17, which adds 480 channels; figure 10."""
    return Branches(
        (
            chain(channels, (384, 3), stride=2),
            chain(channels, (64, 1), (96, 3), (96, 3), stride=2),
            nn.MaxPool2d(3, 2),
        )
    )


def build_c(channels: int, width: int) -> Branches:
    """Build a module for 17 x 17 with 768 output channels, 7x7 factorised to 1x7 and 7x1; figure 6."""
    row, column = (1, 7), (7, 1)
    return Branches(
        (
            chain(channels, (192, 1)),
            chain(channels, (width, 1), (width, row), (192, column)),
            chain(channels, (width, 1), (width, column), (width, row), (width, column), (192, row)),
            average(channels, 192),
        )
    )


def build_d(channels: int) -> Branches:
    """Build the reduction from 17 x 17 to 8 x 8, which adds 512 channels."""
    return Branches(
        (
            chain(channels, (192, 1), (320, 3), stride=2),
            chain(channels, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), stride=2),
            nn.MaxPool2d(3, 2),
        )
    )


def build_e(channels: int) -> Branches:
    """Build a module for 8 x 8 with 2048 output channels, two of whose branches fork; figure 7."""
    return Branches(
        (
            chain(channels, (320, 1)),
            nn.Sequential(*chain(channels, (384, 1)), fork()),
            nn.Sequential(*chain(channels, (448, 1), (384, 3)), fork()),
            average(channels, 192),
        )
    )


def fork() -> Branches:
    """Build a parallel 1x3 and 3x1 convolution, from 384 to 768 channels."""
    return Branches((chain(384, (384, (1, 3))), chain(384, (384, (3, 1)))))


class Classifier(AuxiliaryHead):
    """A classifier of the last 17 x 17 map; figure 8, with batch normalisation in all convolutions."""

    def __init__(self, channels: int, side: int, num_classes: int) -> None:
        super().__init__(
            nn.AvgPool2d(5, 3) if side >= 17 else nn.AdaptiveAvgPool2d(5),  # N x C x 5 x 5
            convolve(channels, 128, 1),
            convolve(128, 768, 5),  # N x 768 x 1 x 1
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(768, num_classes),
        )


class InceptionV3(HeadedNetwork):
    """Five convolutions, eleven modules and one linear layer.

    Args:
        num_classes: Number of classes.
        image_size: Height and width of the input, on which the head's first pool depends.
    """

    auxiliary_weights: tuple[float, ...] = (0.4,)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.conv1a = convolve(3, 32, 3, stride=2)  # 32 x 149 x 149
        self.conv2a = convolve(32, 32, 3)  # 32 x 147 x 147
        self.conv2b = convolve(32, 64, 3, padding=1)  # 64 x 147 x 147
        self.pool1 = nn.MaxPool2d(3, 2)  # 64 x 73 x 73
        self.conv3b = convolve(64, 80, 1)  # 80 x 73 x 73
        self.conv4a = convolve(80, 192, 3)  # 192 x 71 x 71
        self.pool2 = nn.MaxPool2d(3, 2)  # 192 x 35 x 35
        self.mixed5b = build_a(192, projection=32)  # 256 x 35 x 35
        self.mixed5c = build_a(256, projection=64)  # 288 x 35 x 35
        self.mixed5d = build_a(288, projection=64)  # 288 x 35 x 35
        self.mixed6a = build_b(288)  # 768 x 17 x 17
        self.mixed6b = build_c(768, width=128)  # 768 x 17 x 17
        self.mixed6c = build_c(768, width=160)  # 768 x 17 x 17
        self.mixed6d = build_c(768, width=160)  # 768 x 17 x 17
        self.mixed6e = build_c(768, width=192)  # 768 x 17 x 17
        self.auxiliary = Classifier(768, map_side(image_size), num_classes)
        self.mixed7a = build_d(768)  # 1280 x 8 x 8
        self.mixed7b = build_e(1280)  # 2048 x 8 x 8
        self.mixed7c = build_e(2048)  # 2048 x 8 x 8
        self.pool3 = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5))  # 2048
        self.fc = nn.Linear(2048, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights from N(0, 0.1), in the head's last two layers from N(0, 0.01) and N(0, 0.001)."""
        inside = [layer for layer in self.auxiliary.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        deviations = {inside[-2]: 0.01, inside[-1]: 0.001}
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=deviations.get(layer, 0.1))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def map_side(image_size: int) -> int:
    """Return the side of the maps of the sixth stage: 17 for 299 pixels, 3 for 75."""
    side = (image_size - 1) // 2  # conv1a
    for _ in range(2):
        side = (side - 2 - 1) // 2  # conv2a and pool1, conv4a and pool2
    return (side - 1) // 2  # mixed6a


PAPER = Paper(
    title="Rethinking the Inception Architecture for Computer Vision",
    authors="Christian Szegedy, Vincent Vanhoucke, Sergey Ioffe, Jonathon Shlens, Zbigniew Wojna",
    venue="CVPR 2016",
    year=2015,
    url="https://arxiv.org/abs/1512.00567",
)
PAPER_RECIPE = Recipe(
    source="Szegedy 2015, section 8",
    optimizer="rmsprop",
    rms_decay=0.9,
    rms_eps=1.0,
    momentum=0.0,
    gradient_clip=2.0,
    learning_rate=0.045,
    weight_decay=4e-5,
    batch_size=1600,
    epochs=100,
    schedule=Step(every_epochs=2, multiplier=0.94),
    label_smoothing=0.1,
    augmentation="googlenet",
    open_choices=(
        "The batch is that of 50 replicas with 32 images each, in one step.",
        "The weight of the auxiliary loss is not specified; here it is 0.4.",
        "Weight decay and dropout are not specified; the Xception paper has them for this network.",
        "Initialisation and augmentation are not specified; they are torchvision's and GoogLeNet's.",
        "Momentum of RMSprop is not specified; here it is 0.",
        "The paper tests a running average of the weights; we do not average.",
    ),
)
# The authors left out 1,762 validation images with poor bounding boxes, which lowers the errors a little.
PUBLISHED = (
    PublishedError(21.2, 5.6, VAL_KEPT, SINGLE_CROP, "Szegedy 2015, section 11 and Table 3"),
    PublishedError(
        21.8,
        5.9,
        VAL_KEPT,
        SINGLE_CROP,
        "Chollet 2016, Table 1",
        trained_by="others",
        note="without auxiliary head",
    ),
    PublishedError(
        22.706, 6.55, VAL, CENTER, "torchvision IMAGENET1K_V1", note="weights ported from TensorFlow"
    ),
    PublishedError(22.1, 6.3, VAL, SINGLE_CROP, "Keras's table of applications", trained_by="others"),
    PublishedError(22.0, 6.1, VAL, SINGLE_CROP, "TF-slim inception_v3", trained_by="others"),
    PublishedError(17.3, 3.5, VAL_KEPT, CROPS_144, "Szegedy 2015, abstract", models=4),
    PublishedError(None, 3.6, TEST, CROPS_144, "Szegedy 2015, abstract", models=4),
)

ARCHITECTURES = (
    Architecture(
        key="inception_v3",
        name="Inception-v3",
        family="Inception",
        paper=PAPER,
        network=InceptionV3,
        input_size=299,
        minimum_size=75,
        published=PUBLISHED,
        recipes={"paper": PAPER_RECIPE, "modern": modern(0.1), "quick": quick(1e-3, epochs=5)},
        # 47 factorised convolutions on the longest path, and the classifier. The paper counts 42 for the
        # network of its Table 1, which is not the released one.
        depth=48,
        note="Eleven modules; large kernels are factorised to 1x7 and 7x1; one auxiliary classifier.",
        counterpart=Counterpart("torchvision", "inception_v3", heads=("AuxLogits",)),
        keras_depth=189,
        differences=(
            "torchvision rescales the input for its ported weights (transform_input); we do not.",
            "torchvision's number of parameters (27,161,264) includes the head.",
            "torchvision's head needs images of 299 px or more for training; ours works with any size.",
            "Keras normalises without a learnt scale and has no head: 23,817,352 trainable parameters.",
            "Keras also counts 34,432 running statistics: 23,851,784.",
            "Keras's average pools exclude the padding.",
        ),
    ),
)
