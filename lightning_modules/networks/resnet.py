"""ResNet and its plain counterparts, from "Deep Residual Learning for Image Recognition".

He, Zhang, Ren and Sun (arXiv 1512.03385, CVPR 2016), table 1 and figures 3 and 5. The small networks for
CIFAR-10 of the same paper are in ``cifar_resnet``.

The input is N x 3 x 224 x 224 (sizes from 32 px on work), the output N x classes. With 1000 classes and
projections where the shape changes (option B):

    ==========  ==========  ====================  ======================
    Network     Parameters  Multiply-accumulates  With the stride on 3x3
    ==========  ==========  ====================  ======================
    Plain-18    11,515,688         1,794,805,760
    Plain-34    21,623,848         3,644,493,824
    ResNet-18   11,689,512         1,814,073,344
    ResNet-34   21,797,672         3,663,761,408
    ResNet-50   25,557,032         3,857,973,248           4,089,184,256
    ResNet-101  44,549,160         7,570,194,432           7,801,405,440
    ResNet-152  60,192,808        11,282,415,616          11,513,626,624
    ==========  ==========  ====================  ======================

Deviations:
    - Option B is the default at every depth, as in most libraries. Table 2 of the paper compares 18 and 34
      layers with their plain counterparts under option A, with which they have the same number of
      parameters, 11,515,688 and 21,623,848. Choose ``shortcut="A"`` for this comparison.
    - The paper does not specify where option A adds channels of zeros; here they are appended. It keeps the
      even pixels, as a 1x1 convolution of stride 2 does.
    - The stride of a bottleneck is in its first 1x1 convolution, as in the authors' files; most libraries
      have it in the 3x3 convolution ("v1.5"), with the same parameters and 231 M more multiply-accumulates.
    - Convolutions have no bias, because normalisation would cancel it. The authors' file for ResNet-50 has
      one in the first convolution, which are 64 parameters more; those for 101 and 152 layers do not.
    - The first pool pads by one and rounds down, as in libraries; the authors' files round up without
      padding. The size is the same, but the alignment differs by one pixel.
    - The mean colour is subtracted, or the mean image as in the paper if a run is given one; see
      ``alexnet``.
    - The running mean and variance of batch normalisation are used as they are; the authors recomputed
      them after training.
    - The variance of initial weights is given by fan-out, as in libraries; He et al. (2015) also allow
      fan-in, whose variance is twice as large where a convolution doubles the channels.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.architecture import Architecture, Counterpart, Paper
from lightning_modules.published import CENTER, DENSE, TEN_CROPS, TEST, VAL, Protocol, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Plateau

Block = Callable[[int, int, int], nn.Module]
WIDTHS = (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """A residual branch and a shortcut, whose outputs are added.

    Args:
        residual: The branch, which ends with batch normalisation.
        shortcut: Converts the input to the shape of the branch's output.
    """

    def __init__(self, residual: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = shortcut
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C' x H' x W'."""
        output: Tensor = self.residual(x)
        output += self.shortcut(x)
        output = self.relu(output)
        return output


class ZeroPadding(nn.Module):
    """A shortcut without parameters (option A): subsampling and additional channels of zeros.

    Args:
        channels: Channels of the input.
        width: Channels of the output.
        stride: Distance of the pixels that are kept.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.missing = width - channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C' x H' x W'."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))

    def extra_repr(self) -> str:
        """Return the parameters for `repr`."""
        return f"missing={self.missing}, stride={self.stride}"


def convolve(channels: int, width: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """Build a convolution without bias, padded to keep the size at stride 1, and its normalisation."""
    convolution = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(width)


def build_shortcut(channels: int, width: int, stride: int, option: str) -> nn.Module:
    """Build the shortcut of a block; section 3.3 and table 3 of the paper.

    Args:
        channels: Channels of the input.
        width: Channels of the output.
        stride: Stride of the whole block.
        option: ``A`` pads with zeros where the shape changes, ``B`` projects there, ``C`` always projects.
    """
    if option != "C" and stride == 1 and channels == width:
        return nn.Identity()
    if option == "A":
        return ZeroPadding(channels, width, stride)
    return nn.Sequential(*convolve(channels, width, 1, stride))


def build_pair(channels: int, width: int, stride: int) -> nn.Sequential:
    """Build two 3x3 convolutions of ``width`` channels with a ReLU between them."""
    return nn.Sequential(
        *convolve(channels, width, 3, stride), nn.ReLU(inplace=True), *convolve(width, width, 3)
    )


def build_plain(channels: int, width: int, stride: int) -> nn.Sequential:
    """Build two 3x3 convolutions with a ReLU after each and no shortcut; figure 3."""
    return build_pair(channels, width, stride).append(nn.ReLU(inplace=True))


def build_basic(channels: int, width: int, stride: int, shortcut: str) -> ResidualBlock:
    """Build a residual block of two 3x3 convolutions of ``width`` channels; figure 5, left."""
    residual = build_pair(channels, width, stride)
    return ResidualBlock(residual, build_shortcut(channels, width, stride, shortcut))


def build_bottleneck(channels: int, width: int, stride: int, shortcut: str, stride_on: str) -> ResidualBlock:
    """Build a residual block of 1x1, 3x3 and 1x1 convolutions; figure 5, right.

    The first two have ``width`` channels, the last four times as many.
    """
    first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
    residual = nn.Sequential(
        *convolve(channels, width, 1, first),
        nn.ReLU(inplace=True),
        *convolve(width, width, 3, second),
        nn.ReLU(inplace=True),
        *convolve(width, 4 * width, 1),
    )
    return ResidualBlock(residual, build_shortcut(channels, 4 * width, stride, shortcut))


class ResNet(nn.Sequential):
    """A stem, stages of blocks with halved size in each stage, and one linear layer.

    Args:
        stem: The stages before the first block, by name.
        channels: Output channels of the stem.
        build_block: Builds a block with given input channels, width and stride.
        expansion: Output channels of a block as a multiple of its width.
        widths: Width of the blocks of each stage.
        depths: Number of blocks of each stage.
        num_classes: Number of classes.
    """

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(
        self,
        stem: Mapping[str, nn.Module],
        channels: int,
        build_block: Block,
        expansion: int,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        num_classes: int,
    ) -> None:
        stages = OrderedDict(stem)
        number = 1
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True), start=2):
            blocks: list[nn.Module] = []
            for index in range(depth):
                blocks.append(build_block(channels, width, 2 if index == 0 and number > 2 else 1))
                channels = expansion * width
            stages[f"conv{number}"] = nn.Sequential(*blocks)
        stages[f"pool{number}"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        stages["fc"] = nn.Linear(channels, num_classes)
        super().__init__(stages)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights of convolutions as He et al. (2015), by fan-out, the classifier from N(0, 0.01)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)


def build_imagenet(build_block: Block, expansion: int, depths: tuple[int, ...], num_classes: int) -> ResNet:
    """Build a network of table 1: a 7x7 convolution, a pool, and four stages of 64 to 512 channels."""
    stem = {
        "conv1": nn.Sequential(*convolve(3, 64, 7, 2), nn.ReLU(inplace=True)),  # N x 64 x 112 x 112
        "pool1": nn.MaxPool2d(3, 2, padding=1),  # N x 64 x 56 x 56
    }
    return ResNet(stem, 64, build_block, expansion, WIDTHS, depths, num_classes)


def build_plain_network(depths: tuple[int, ...], num_classes: int, image_size: int) -> ResNet:
    """Build a network without shortcuts; its layers do not depend on the image size."""
    return build_imagenet(build_plain, 1, depths, num_classes)


def build_basic_resnet(depths: tuple[int, ...], num_classes: int, image_size: int, shortcut: str) -> ResNet:
    """Build a network of basic blocks; its layers do not depend on the image size."""
    return build_imagenet(partial(build_basic, shortcut=shortcut), 1, depths, num_classes)


def build_bottleneck_resnet(
    depths: tuple[int, ...], num_classes: int, image_size: int, shortcut: str, stride_on: str
) -> ResNet:
    """Build a network of bottlenecks; its layers do not depend on the image size."""
    block = partial(build_bottleneck, shortcut=shortcut, stride_on=stride_on)
    return build_imagenet(block, 4, depths, num_classes)


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
        "When the learning rate is reduced is not specified; we wait 5 epochs, at most 3 times.",
        "Weight decay of biases and normalisation weights is not specified; here it applies.",
        "The classifier's initialisation is not specified; here it is N(0, 0.01).",
    ),
)
RECIPES = {"paper": PAPER_RECIPE, "modern": modern(0.1), "quick": quick(1e-3, epochs=3)}
SHORTCUTS = ("B", "A", "C")
BASIC_OPTIONS = {"shortcut": SHORTCUTS}
BOTTLENECK_OPTIONS = {"shortcut": SHORTCUTS, "stride_on": ("1x1", "3x3")}

SCALES = Protocol("dense", (224, 256, 384, 480, 640))
README = "README of the authors' released networks"


def paper(top1: float, top5: float | None, protocol: Protocol, tables: str, **options: str) -> PublishedError:
    """Return a result of one network in the paper."""
    return PublishedError(top1, top5, VAL, protocol, f"He 2015, {tables}", options=options)


def released(top1: float, top5: float) -> PublishedError:
    """Return a result of one of the networks that the authors released."""
    return PublishedError(top1, top5, VAL, CENTER, README)


def facebook(top1: float, top5: float, protocol: Protocol) -> PublishedError:
    """Return a result of fb.resnet.torch."""
    return PublishedError(top1, top5, VAL, protocol, "fb.resnet.torch", trained_by="others")


def torchvision(top1: float, top5: float, **options: str) -> PublishedError:
    """Return a result of torchvision's training."""
    source = "torchvision IMAGENET1K_V1"
    return PublishedError(top1, top5, VAL, CENTER, source, trained_by="others", options=options)


def torchvision_later(top1: float, top5: float) -> PublishedError:
    """Return a result of torchvision's training of 2021."""
    return PublishedError(
        top1,
        top5,
        VAL,
        Protocol("center", (232,)),
        "torchvision IMAGENET1K_V2",
        trained_by="others",
        options={"stride_on": "3x3"},
        note="with a longer recipe",
    )


PUBLISHED = {
    "plain18": (paper(27.94, None, TEN_CROPS, "Table 2"),),
    "plain34": (paper(28.54, 10.02, TEN_CROPS, "Tables 2 and 3"),),
    "resnet18": (
        paper(27.88, None, TEN_CROPS, "Table 2", shortcut="A"),
        torchvision(30.242, 10.922),
        facebook(30.43, 10.76, CENTER),
        facebook(28.22, 9.42, TEN_CROPS),
    ),
    "resnet34": (
        paper(24.52, 7.46, TEN_CROPS, "Table 3", shortcut="B"),
        paper(25.03, 7.76, TEN_CROPS, "Tables 2 and 3", shortcut="A"),
        paper(24.19, 7.40, TEN_CROPS, "Table 3", shortcut="C"),
        paper(21.84, 5.71, SCALES, "Table 4", shortcut="B"),
        paper(21.53, 5.60, SCALES, "Table 4", shortcut="C"),
        torchvision(26.686, 8.58),
        facebook(26.73, 8.74, CENTER),
        facebook(24.76, 7.35, TEN_CROPS),
    ),
    "resnet50": (
        paper(22.85, 6.71, TEN_CROPS, "Table 3"),
        released(24.7, 7.8),
        paper(20.74, 5.25, SCALES, "Table 4"),
        torchvision(23.87, 7.138, stride_on="3x3"),
        torchvision_later(19.142, 4.566),
        facebook(24.01, 7.02, CENTER),
        facebook(22.24, 6.08, TEN_CROPS),
    ),
    "resnet101": (
        paper(21.75, 6.05, TEN_CROPS, "Table 3"),
        released(23.6, 7.1),
        paper(19.87, 4.60, SCALES, "Table 4"),
        torchvision(22.626, 6.454, stride_on="3x3"),
        torchvision_later(18.114, 4.22),
        facebook(22.44, 6.21, CENTER),
        facebook(21.08, 5.35, TEN_CROPS),
    ),
    "resnet152": (
        paper(21.43, 5.71, TEN_CROPS, "Table 3"),
        released(23.0, 6.7),
        paper(19.38, 4.49, SCALES, "Table 4"),
        PublishedError(
            None, 3.57, TEST, DENSE, "He 2015, Table 5", models=6, note="several depths, two of 152 layers"
        ),
        torchvision(21.688, 5.954, stride_on="3x3"),
        torchvision_later(17.716, 3.998),
        facebook(22.16, 6.16, CENTER),
        facebook(20.69, 5.21, TEN_CROPS),
    ),
}

describe = partial(
    Architecture, family="ResNet", paper=PAPER, input_size=224, minimum_size=32, recipes=RECIPES
)
SAME_AS_TORCHVISION = ("torchvision has the same network, with option B; Keras has none.",)


def deep_differences(later_macs: str, biases: str, total: str) -> tuple[str, ...]:
    """Return the differences of torchvision and Keras in a network of bottlenecks."""
    return (
        f"torchvision has the stride in the 3x3 convolution: {later_macs} multiply-accumulates.",
        f"Keras has a bias in every convolution, {biases} parameters more, and also counts the statistics of "
        f"batch normalisation: {total}.",
    )


ARCHITECTURES = (
    describe(
        key="resnet18",
        name="ResNet-18",
        network=partial(build_basic_resnet, (2, 2, 2, 2)),
        published=PUBLISHED["resnet18"],
        depth=18,
        options=BASIC_OPTIONS,
        note="Eight basic blocks; the paper compares it with Plain-18 under option A.",
        counterpart=Counterpart("torchvision", "resnet18"),
        differences=SAME_AS_TORCHVISION,
    ),
    describe(
        key="resnet34",
        name="ResNet-34",
        network=partial(build_basic_resnet, (3, 4, 6, 3)),
        published=PUBLISHED["resnet34"],
        depth=34,
        options=BASIC_OPTIONS,
        note="Sixteen basic blocks; better than ResNet-18, while Plain-34 is worse than Plain-18.",
        counterpart=Counterpart("torchvision", "resnet34"),
        differences=SAME_AS_TORCHVISION,
    ),
    describe(
        key="resnet50",
        name="ResNet-50",
        network=partial(build_bottleneck_resnet, (3, 4, 6, 3)),
        published=PUBLISHED["resnet50"],
        depth=50,
        options=BOTTLENECK_OPTIONS,
        note="Sixteen bottlenecks; their stride is in the first 1x1 convolution (paper) or the 3x3 (v1.5).",
        counterpart=Counterpart("torchvision", "resnet50", {"stride_on": "3x3"}),
        keras_depth=107,
        differences=deep_differences("4,089,184,256", "26,560", "25,636,712"),
    ),
    describe(
        key="resnet101",
        name="ResNet-101",
        network=partial(build_bottleneck_resnet, (3, 4, 23, 3)),
        published=PUBLISHED["resnet101"],
        depth=101,
        options=BOTTLENECK_OPTIONS,
        note="33 bottlenecks, 23 of them at 14 px.",
        counterpart=Counterpart("torchvision", "resnet101", {"stride_on": "3x3"}),
        keras_depth=209,
        differences=deep_differences("7,801,405,440", "52,672", "44,707,176"),
    ),
    describe(
        key="resnet152",
        name="ResNet-152",
        network=partial(build_bottleneck_resnet, (3, 8, 36, 3)),
        published=PUBLISHED["resnet152"],
        depth=152,
        options=BOTTLENECK_OPTIONS,
        note="50 bottlenecks, but cheaper than VGG-16; two of these and four others won ILSVRC 2015.",
        counterpart=Counterpart("torchvision", "resnet152", {"stride_on": "3x3"}),
        keras_depth=311,
        differences=deep_differences("11,513,626,624", "75,712", "60,419,944"),
    ),
    describe(
        key="plain18",
        name="Plain-18",
        network=partial(build_plain_network, (2, 2, 2, 2)),
        published=PUBLISHED["plain18"],
        depth=18,
        note="ResNet-18 without shortcuts, with a ReLU after every convolution.",
    ),
    describe(
        key="plain34",
        name="Plain-34",
        network=partial(build_plain_network, (3, 4, 6, 3)),
        published=PUBLISHED["plain34"],
        depth=34,
        note="ResNet-34 without shortcuts; worse than Plain-18 even on the training images.",
    ),
)
