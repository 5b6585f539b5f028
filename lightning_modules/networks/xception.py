"""Xception, from "Xception: Deep Learning with Depthwise Separable Convolutions".

Chollet (arXiv 1610.02357, CVPR 2017), figure 5.

The input is N x 3 x 299 x 299 (sizes from 7 px on work), the output N x classes. With 1000 classes, it has
22,855,952 parameters, as in table 3 of the paper, and 8,357,403,496 multiply-accumulates.

Deviations:
    - There is neither a ReLU nor batch normalisation between the depthwise 3x3 and the pointwise 1x1
      convolution: in the paper, a ReLU there reduces the accuracy. Many later networks have both.
    - The ReLU at the beginning of a block is not in place, because the shortcut needs its input.
    - Batch normalisation has PyTorch's epsilon of 1e-5, as in timm; Keras has 1e-3, with which the weights
      ported from there were trained.
    - Pools pad by one on both sides, as in timm. TensorFlow pads maps of even size on the far side only. The
      size is the same, but the alignment differs by one pixel.
    - The paper specifies no initialisation. It is Glorot's here, the default of Keras, which the author
      used; timm has He's.
    - There is no (Polyak) averaging of the weights during training.
"""

from torch import Tensor, nn

from lightning_modules.architecture import Architecture, Counterpart, Paper
from lightning_modules.published import SINGLE_CROP, VAL, VAL_KEPT, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Step


def convolve(channels: int, width: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """Build a convolution without bias or padding, and its normalisation."""
    return nn.Conv2d(channels, width, kernel, stride, bias=False), nn.BatchNorm2d(width)


def separate(channels: int, width: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Build a depthwise 3x3 convolution, a pointwise one to ``width`` channels, and normalisation."""
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return depthwise, *convolve(channels, width, 1)


class XceptionBlock(nn.Module):
    """A residual block of separable convolutions, with a projection as the shortcut if the shape changes.

    Args:
        channels: Channels of the input.
        widths: Output channels of each separable convolution, which follows a ReLU.
        stride: 2 to halve the size with a pool at the end.
        relu_first: Whether there is a ReLU before the first convolution.
    """

    def __init__(
        self, channels: int, widths: tuple[int, ...], stride: int = 1, relu_first: bool = True
    ) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Sequential(*convolve(channels, widths[-1], 1, stride))
        layers: list[nn.Module] = []
        for number, width in enumerate(widths):
            if number or relu_first:
                layers.append(nn.ReLU(inplace=number > 0))
            layers += separate(channels, width)
            channels = width
        if stride != 1:
            layers.append(nn.MaxPool2d(3, stride, padding=1))
        self.residual = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C' x H' x W'."""
        output: Tensor = self.residual(x)
        output += self.shortcut(x)
        return output


class Xception(nn.Sequential):
    """36 convolutions, 34 of them separable, in an entry, a middle and an exit flow, and one linear layer.

    Args:
        num_classes: Number of classes.
        image_size: Not used; the layers do not depend on it.
    """

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*convolve(3, 32, 3, 2), nn.ReLU(inplace=True))  # 32 x 149 x 149
        self.conv2 = nn.Sequential(*convolve(32, 64, 3), nn.ReLU(inplace=True))  # 64 x 147 x 147
        self.block2 = XceptionBlock(64, (128, 128), stride=2, relu_first=False)  # 128 x 74 x 74
        self.block3 = XceptionBlock(128, (256, 256), stride=2)  # 256 x 37 x 37
        self.block4 = XceptionBlock(256, (728, 728), stride=2)  # 728 x 19 x 19
        for number in range(5, 13):
            self.add_module(f"block{number}", XceptionBlock(728, (728, 728, 728)))  # 728 x 19 x 19
        self.block13 = XceptionBlock(728, (728, 1024), stride=2)  # 1024 x 10 x 10
        self.conv3 = nn.Sequential(*separate(1024, 1536), nn.ReLU(inplace=True))  # 1536 x 10 x 10
        self.conv4 = nn.Sequential(*separate(1536, 2048), nn.ReLU(inplace=True))  # 2048 x 10 x 10
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5))  # 2048
        self.fc = nn.Linear(2048, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights from uniform distributions of variance 2/(fan_in + fan_out) (Glorot); biases are 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


PAPER = Paper(
    title="Xception: Deep Learning with Depthwise Separable Convolutions",
    authors="François Chollet",
    venue="CVPR 2017",
    year=2016,
    url="https://arxiv.org/abs/1610.02357",
)
PAPER_RECIPE = Recipe(
    source="Chollet 2016, section 4",
    learning_rate=0.045,
    weight_decay=1e-5,
    batch_size=1600,
    epochs=100,
    schedule=Step(every_epochs=2, multiplier=0.94),
    augmentation="googlenet",
    open_choices=(
        "Batch size, number of epochs and augmentation are not specified; they are Inception-v3's.",
        "The initialisation is not specified; it is Glorot's, Keras's default.",
        "The paper averages the weights during training; we do not.",
    ),
)
# As for Inception-v3, 1,762 validation images are left out, which lowers the errors a little.
PUBLISHED = (
    PublishedError(21.0, 5.5, VAL_KEPT, SINGLE_CROP, "Chollet 2016, Table 1"),
    PublishedError(
        20.942, 5.604, VAL, SINGLE_CROP, "timm legacy_xception.tf_in1k", note="weights ported from Keras"
    ),
    PublishedError(21.0, 5.5, VAL, SINGLE_CROP, "Keras's table of applications"),
)

ARCHITECTURES = (
    Architecture(
        key="xception",
        name="Xception",
        family="Xception",
        paper=PAPER,
        network=Xception,
        input_size=299,
        minimum_size=7,
        published=PUBLISHED,
        recipes={"paper": PAPER_RECIPE, "modern": modern(0.1), "quick": quick(1e-3, epochs=5)},
        # The paper's number of convolutional layers: a separable convolution is one layer; shortcuts and
        # classifier are not counted.
        depth=36,
        note="An extreme form of Inception: only separable convolutions, with shortcuts around them.",
        counterpart=Counterpart("timm", "legacy_xception"),
        keras_depth=81,
        differences=(
            "timm has no dropout by default.",
            "Keras normalises with epsilon 1e-3.",
            "Keras also counts 54,528 running statistics: 22,910,480 parameters.",
            "Keras requires images of 71 px or more.",
            "torchvision has no Xception.",
        ),
    ),
)
