"""ResNet, from "Deep Residual Learning for Image Recognition".

He, Zhang, Ren and Sun (arXiv 1512.03385, CVPR 2016), table 1 and figure 5.

Input N x 3 x 224 x 224 (from 32 on), output N x classes. With 1000 classes ResNet-18 has 11,689,512
parameters and 1,814,073,344 multiply-accumulates; ResNet-50 has 25,557,032 and 3,857,973,248 with the
stride on the first 1x1 convolution of a bottleneck as the authors have it, 4,089,184,256 with the stride
on the 3x3 as most libraries do today ("v1.5").

Deviations:
    - Projections only where the shape changes (option B) at every depth; table 2 of the paper reports
      ResNet-18 without any (option A), table 3 the deeper ones with.
    - The first pool pads by one and rounds down, as libraries do; the authors' files round up without
      padding. The size is the same, the alignment is off by one pixel.
    - The running mean and variance of batch normalisation are used as they are; the authors computed
      them anew after training.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from lightning_modules.architecture import Architecture, Paper, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Plateau

Block = Callable[[int, int, int], nn.Module]
WIDTHS = (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """Adds what a branch finds to its input, or to a projection of it where the shape changes.

    Args:
        residual: The branch, which ends in batch normalisation.
        channels: Channels of the input.
        width: Channels of the output.
        stride: Of the branch as a whole.
    """

    def __init__(self, residual: nn.Module, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(*convolve(channels, width, 1, stride))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N x C x H x W to N x C' x H' x W'."""
        output: Tensor = self.residual(x)
        output += self.shortcut(x)
        output = self.relu(output)
        return output


def convolve(channels: int, width: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """Returns a convolution without bias, padded to keep the size at stride 1, and its normalisation."""
    convolution = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(width)


def build_basic(channels: int, width: int, stride: int) -> ResidualBlock:
    """Returns two 3x3 convolutions of ``width`` channels; figure 5 left."""
    residual = nn.Sequential(
        *convolve(channels, width, 3, stride), nn.ReLU(inplace=True), *convolve(width, width, 3)
    )
    return ResidualBlock(residual, channels, width, stride)


def build_bottleneck(channels: int, width: int, stride: int, stride_on: str) -> ResidualBlock:
    """Returns 1x1, 3x3 and 1x1 convolutions that end in four times ``width`` channels; figure 5 right."""
    first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
    residual = nn.Sequential(
        *convolve(channels, width, 1, first),
        nn.ReLU(inplace=True),
        *convolve(width, width, 3, second),
        nn.ReLU(inplace=True),
        *convolve(width, 4 * width, 1),
    )
    return ResidualBlock(residual, channels, 4 * width, stride)


class ResNet(nn.Sequential):
    """A 7x7 convolution, four stages of residual blocks and one linear layer.

    Args:
        build_block: Makes a block from input channels, width and stride.
        expansion: Channels a block puts out, as a multiple of its width.
        depths: Blocks in each of the four stages.
        num_classes: Width of the classifier.
    """

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(self, build_block: Block, expansion: int, depths: tuple[int, ...], num_classes: int) -> None:
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        stages["conv1"] = nn.Sequential(*convolve(3, 64, 7, 2), nn.ReLU(inplace=True))  # N x 64 x 112 x 112
        stages["pool1"] = nn.MaxPool2d(3, 2, padding=1)  # N x 64 x 56 x 56
        channels = 64
        for number, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=2):
            blocks: list[nn.Module] = []
            for index in range(depth):
                blocks.append(build_block(channels, width, 2 if index == 0 and number > 2 else 1))
                channels = expansion * width
            stages[f"conv{number}"] = nn.Sequential(*blocks)
        stages["pool5"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        stages["fc"] = nn.Linear(channels, num_classes)
        super().__init__(stages)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws convolutions as He et al. (2015) do, by fan-out, and the classifier from N(0, 0.01)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)


def build_basic_resnet(depths: tuple[int, ...], num_classes: int, image_size: int) -> ResNet:
    """Returns a network of basic blocks; its layers do not depend on the image size."""
    return ResNet(build_basic, 1, depths, num_classes)


def build_bottleneck_resnet(
    depths: tuple[int, ...], num_classes: int, image_size: int, stride_on: str
) -> ResNet:
    """Returns a network of bottlenecks; its layers do not depend on the image size."""
    return ResNet(partial(build_bottleneck, stride_on=stride_on), 4, depths, num_classes)


PAPER = Paper(
    title="Deep Residual Learning for Image Recognition",
    authors="Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
    venue="CVPR 2016",
    year=2015,
    url="https://arxiv.org/abs/1512.03385",
)
PAPER_RECIPE = Recipe(
    source="He 2015, section 3.4",
    learning_rate=0.1,
    weight_decay=1e-4,
    batch_size=256,
    epochs=120,
    schedule=Plateau(multiplier=0.1, patience_epochs=5, reductions=3),
    augmentation="resnet",
    open_choices=(
        "When the rate falls and how often is not said; we wait 5 epochs, at most 3 times.",
        "Whether biases and normalisation weights decay is not said; here they do.",
        "The classifier's initialisation is not given; it is drawn from N(0, 0.01).",
    ),
)
VAL, TEST = "ILSVRC2012 val", "ILSVRC2012 test"
RESNET18_PUBLISHED = (
    PublishedError(
        27.88, None, VAL, "10 crops", 1, "He 2015, Table 2, shortcuts without projection (option A)"
    ),
    PublishedError(30.242, 10.922, VAL, "center crop", 1, "torchvision IMAGENET1K_V1, a retraining"),
    PublishedError(28.22, 9.42, VAL, "10 crops", 1, "fb.resnet.torch, a retraining"),
)
RESNET50_PUBLISHED = (
    PublishedError(22.85, 6.71, VAL, "10 crops", 1, "He 2015, Table 3"),
    PublishedError(24.7, 7.8, VAL, "center crop", 1, "README of the authors' released networks"),
    PublishedError(20.74, 5.25, VAL, "dense, scales 224, 256, 384, 480, 640", 1, "He 2015, Table 4"),
    PublishedError(
        23.87, 7.138, VAL, "center crop", 1, "torchvision IMAGENET1K_V1, a retraining with 3x3 stride"
    ),
    PublishedError(None, 3.57, TEST, "dense, several depths together", 6, "He 2015, Table 5"),
)

ARCHITECTURES = (
    Architecture(
        key="resnet18",
        name="ResNet-18",
        family="ResNet",
        paper=PAPER,
        network=partial(build_basic_resnet, (2, 2, 2, 2)),
        input_size=224,
        minimum_size=32,
        published=RESNET18_PUBLISHED,
        recipes={"paper": PAPER_RECIPE, "modern": modern(0.1), "quick": quick(1e-3, epochs=3)},
        depth=18,
        note="Eight basic blocks; projections only where the shape changes.",
    ),
    Architecture(
        key="resnet50",
        name="ResNet-50",
        family="ResNet",
        paper=PAPER,
        network=partial(build_bottleneck_resnet, (3, 4, 6, 3)),
        input_size=224,
        minimum_size=32,
        published=RESNET50_PUBLISHED,
        recipes={"paper": PAPER_RECIPE, "modern": modern(0.1), "quick": quick(1e-3, epochs=3)},
        options={"stride_on": ("1x1", "3x3")},
        depth=50,
        note="Sixteen bottlenecks; their stride is on the first 1x1 convolution (paper) or the 3x3 (v1.5).",
        keras_depth=107,
    ),
)
