"""VGG, from "Very Deep Convolutional Networks for Large-Scale Image Recognition".

Simonyan and Zisserman (arXiv 1409.1556, ICLR 2015), table 1.

The input is N x 3 x 224 x 224 (sizes from 32 px on work), the output N x classes. There are five blocks with
maps of 224, 112, 56, 28 and 14 pixels, and three fully connected layers. With 1000 classes:

    ==========  =============  ===========  ====================  ===============================
    Network     Configuration   Parameters  Multiply-accumulates  Parameters with normalisation
    ==========  =============  ===========  ====================  ===============================
    VGG-11      A              132,863,336         7,609,090,048  132,868,840 (VGG-11-BN)
    VGG-11-LRN  A-LRN          132,863,336         7,609,090,048
    VGG-13      B              133,047,848        11,308,466,176  133,053,736 (VGG-13-BN)
    VGG-16-C    C              133,638,952        11,770,888,192
    VGG-16      D              138,357,544        15,470,264,320  138,365,992 (VGG-16-BN)
    VGG-19      E              143,667,240        19,632,062,464  143,678,248 (VGG-19-BN)
    ==========  =============  ===========  ====================  ===============================

Deviations:
    - All weights have Glorot's initialisation. The paper first trained configuration A from N(0, 0.1)
      ("variance 10^-2", which most implementations read as a standard deviation) and copied layers from it;
      the authors later found that Glorot's initialisation makes this unnecessary (section 3.1).
    - Tests use one crop of the training size; the paper evaluates the network densely on larger images. No
      figure of the paper's tables 3 to 6 is that of a center crop.
    - Local response normalisation has AlexNet's constants, as in the paper, and alpha is the factor of the
      mean of the squares, as in the code of 2012; with the formula's sum it would be five times as strong.
    - The networks with batch normalisation are torchvision's; the paper is older than the method. Their
      convolutions have a bias, although normalisation cancels it, so that the published weights fit. They
      also have Glorot's initialisation.
    - torchvision averages the last map to 7 x 7, which has no effect at 224 px; here fc6 fits the map.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import nn

from lightning_modules.architecture import Architecture, Counterpart, Paper
from lightning_modules.networks.local_response_norm import LocalResponseNorm
from lightning_modules.published import CENTER, DENSE, TEN_CROPS, TEST, VAL, Protocol, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Plateau, Step

WIDTHS = (64, 128, 256, 512, 512)
# Columns of table 1: the kernels of each block's convolutions.
A = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B = ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3))
C = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E = ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))


class VGG(nn.Sequential):
    """Five blocks of convolutions and three fully connected layers.

    Args:
        kernels: Kernel sizes of the convolutions in each of the five blocks.
        num_classes: Number of classes.
        image_size: Height and width of the square input, in pixels.
        batch_norm: Whether batch normalisation follows each convolution, before its ReLU.
        local_norm: Whether local response normalisation follows the first ReLU: configuration A-LRN.
    """

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(
        self,
        kernels: Sequence[Sequence[int]],
        num_classes: int,
        image_size: int,
        batch_norm: bool = False,
        local_norm: bool = False,
    ) -> None:
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for number, (width, sizes) in enumerate(zip(WIDTHS, kernels, strict=True), start=1):
            block = build_block(channels, width, sizes, batch_norm)  # N x 64 x 224 x 224 at first
            if local_norm and number == 1:
                block.append(LocalResponseNorm(width, k=2.0))
            stages[f"conv{number}"] = block
            stages[f"pool{number}"] = nn.MaxPool2d(2, 2)  # N x 64 x 112 x 112 at first
            channels = width
        side = image_size // 32  # N x 512 x 7 x 7
        stages["fc6"] = nn.Sequential(
            nn.Flatten(), nn.Linear(512 * side * side, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)
        )
        stages["fc7"] = nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5))
        stages["fc8"] = nn.Linear(4096, num_classes)
        super().__init__(stages)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights as Glorot and Bengio (2010); biases are 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)


def build_block(channels: int, width: int, kernels: Sequence[int], batch_norm: bool) -> nn.Sequential:
    """Build convolutions with these kernel sizes and a ReLU after each; they keep height and width."""
    layers: list[nn.Module] = []
    for kernel in kernels:
        layers.append(nn.Conv2d(channels, width, kernel, padding=kernel // 2))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


PAPER = Paper(
    title="Very Deep Convolutional Networks for Large-Scale Image Recognition",
    authors="Karen Simonyan, Andrew Zisserman",
    venue="ICLR 2015",
    year=2014,
    url="https://arxiv.org/abs/1409.1556",
)
JITTERED_RECIPE = Recipe(
    source="Simonyan and Zisserman 2014, section 3.1",
    learning_rate=0.01,
    weight_decay=5e-4,
    batch_size=256,
    epochs=74,
    schedule=Plateau(multiplier=0.1, patience_epochs=5, reductions=3),
    augmentation="vgg",
    open_choices=(
        "When the learning rate is reduced is not specified; we wait 5 epochs.",
        "Weight decay of biases is not specified; here it applies.",
        "Scales are random from the start; the paper fine-tunes from a single-scale network.",
    ),
)
# Configurations A and B were trained at scale 256 only.
SINGLE_SCALE_RECIPE = replace(
    JITTERED_RECIPE,
    augmentation="alexnet",
    open_choices=(
        *JITTERED_RECIPE.open_choices[:2],
        "Crops are taken from the central square; in the paper from the whole resized image.",
    ),
)
TORCHVISION_RECIPE = Recipe(
    source="torchvision's references, for the networks of Simonyan and Zisserman 2014 with batch norm",
    learning_rate=0.1,
    weight_decay=1e-4,
    batch_size=256,
    epochs=90,
    schedule=Step(every_epochs=30, multiplier=0.1),
    augmentation="modern",
    open_choices=("This is the recipe of torchvision's weights; the paper has no batch normalisation.",),
)
OTHER_RECIPES = {"modern": modern(0.01), "quick": quick(4e-4, epochs=3)}
JITTERED = {"paper": JITTERED_RECIPE, **OTHER_RECIPES}
# At 4e-4, nineteen layers without normalisation do not learn anything in the first epoch of the digits.
DEEPEST = {**JITTERED, "quick": quick(2e-4, epochs=4)}
SINGLE_SCALE = {"paper": SINGLE_SCALE_RECIPE, **OTHER_RECIPES}
NORMALISED = {"paper": TORCHVISION_RECIPE, "modern": modern(0.1), "quick": quick(1e-3, epochs=3)}

TABLE = "Simonyan and Zisserman 2014, Table"
AT_256, AT_384 = Protocol("dense", (256,)), Protocol("dense", (384,))
AROUND_256, AROUND_384 = Protocol("dense", (224, 256, 288)), Protocol("dense", (352, 384, 416))
JITTERED_SCALES = (256, 384, 512)
SCALES = Protocol("dense", JITTERED_SCALES)
CROPS, BOTH = Protocol("crops-150", JITTERED_SCALES), Protocol("crops-150-and-dense", JITTERED_SCALES)
TOGETHER = Protocol("crops-150-and-dense")
S_256, S_384 = "trained at scale 256", "trained at scale 384"
RELEASED = "a test of the released network"


def val(top1: float, top5: float, protocol: Protocol, source: str, note: str = "") -> PublishedError:
    """Return a result of one network of the authors on validation images."""
    return PublishedError(top1, top5, VAL, protocol, source, note=note)


def torchvision(top1: float, top5: float) -> PublishedError:
    """Return a result of torchvision's training."""
    return PublishedError(top1, top5, VAL, CENTER, "torchvision IMAGENET1K_V1", trained_by="others")


ENTRY = PublishedError(None, 7.3, TEST, DENSE, f"{TABLE} 6", models=7, note="the entry to ILSVRC2014")
PUBLISHED = {
    "vgg11": (
        val(29.6, 10.4, AT_256, f"{TABLE} 3"),
        torchvision(30.98, 11.372),
    ),
    "vgg11_lrn": (val(29.7, 10.5, AT_256, f"{TABLE} 3"),),
    "vgg13": (
        val(28.7, 9.9, AT_256, f"{TABLE} 3"),
        val(28.2, 9.6, AROUND_256, f"{TABLE} 4"),
        torchvision(30.072, 10.754),
    ),
    "vgg16_c": (
        val(27.3, 8.8, AT_384, f"{TABLE} 3"),
        val(28.1, 9.4, AT_256, f"{TABLE} 3", S_256),
        val(28.1, 9.3, AT_384, f"{TABLE} 3", S_384),
        val(26.3, 8.2, SCALES, f"{TABLE} 4"),
        val(27.7, 9.2, AROUND_256, f"{TABLE} 4", S_256),
        val(27.8, 9.2, AROUND_384, f"{TABLE} 4", S_384),
    ),
    "vgg16": (
        val(25.6, 8.1, AT_384, f"{TABLE} 3"),
        val(27.0, 8.8, AT_256, f"{TABLE} 3", S_256),
        val(26.8, 8.7, AT_384, f"{TABLE} 3", S_384),
        val(24.8, 7.5, SCALES, f"{TABLE} 4"),
        val(26.6, 8.6, AROUND_256, f"{TABLE} 4", S_256),
        val(26.5, 8.6, AROUND_384, f"{TABLE} 4", S_384),
        val(24.6, 7.5, CROPS, f"{TABLE} 5"),
        val(24.4, 7.2, BOTH, f"{TABLE} 5"),
        val(28.07, 9.33, TEN_CROPS, "He 2015, Table 3", RELEASED),
        val(28.5, 9.9, CENTER, "MatConvNet's table", RELEASED),
        torchvision(28.408, 9.618),
        PublishedError(23.7, 6.8, VAL, TOGETHER, f"{TABLE} 6", models=2, note="with VGG-19"),
        ENTRY,
    ),
    "vgg19": (
        val(25.5, 8.0, AT_384, f"{TABLE} 3"),
        val(27.3, 9.0, AT_256, f"{TABLE} 3", S_256),
        val(26.9, 8.7, AT_384, f"{TABLE} 3", S_384),
        val(24.8, 7.5, SCALES, f"{TABLE} 4"),
        val(26.9, 8.7, AROUND_256, f"{TABLE} 4", S_256),
        val(26.7, 8.6, AROUND_384, f"{TABLE} 4", S_384),
        val(24.6, 7.4, CROPS, f"{TABLE} 5"),
        val(24.4, 7.1, BOTH, f"{TABLE} 5"),
        PublishedError(None, 7.3, TEST, SCALES, "Simonyan and Zisserman 2014, section 4.2"),
        PublishedError(None, 7.0, TEST, BOTH, f"{TABLE} 7"),
        val(28.7, 9.9, CENTER, "MatConvNet's table", RELEASED),
        torchvision(27.624, 9.124),
        PublishedError(23.7, 6.8, VAL, TOGETHER, f"{TABLE} 6", models=2, note="with VGG-16"),
        ENTRY,
    ),
    "vgg11_bn": (torchvision(29.63, 10.19),),
    "vgg13_bn": (torchvision(28.414, 9.626),),
    "vgg16_bn": (torchvision(26.64, 8.484),),
    "vgg19_bn": (torchvision(25.782, 8.158),),
}
describe = partial(Architecture, family="VGG", paper=PAPER, input_size=224, minimum_size=32)
AVERAGE = "torchvision averages the last map to 7 x 7 before fc6, which has no effect at 224 px."
START = "torchvision initialises convolutions as He et al., by fan-out, and linear layers from N(0, 0.01)."
KERAS = "Keras has no dropout, and its weights need BGR pixels minus their mean."

ARCHITECTURES = (
    describe(
        key="vgg11",
        name="VGG-11",
        network=partial(VGG, A),
        published=PUBLISHED["vgg11"],
        recipes=SINGLE_SCALE,
        depth=11,
        note="Configuration A, which the paper trained first to initialise the deeper ones.",
        counterpart=Counterpart("torchvision", "vgg11"),
        differences=(AVERAGE, START),
    ),
    describe(
        key="vgg11_lrn",
        name="VGG-11-LRN",
        network=partial(VGG, A, local_norm=True),
        published=PUBLISHED["vgg11_lrn"],
        recipes=SINGLE_SCALE,
        depth=11,
        note="Configuration A-LRN: one local response normalisation, which takes time without any gain.",
    ),
    describe(
        key="vgg13",
        name="VGG-13",
        network=partial(VGG, B),
        published=PUBLISHED["vgg13"],
        recipes=SINGLE_SCALE,
        depth=13,
        note="Configuration B: two 3x3 convolutions in every block.",
        counterpart=Counterpart("torchvision", "vgg13"),
        differences=(AVERAGE, START),
    ),
    describe(
        key="vgg16_c",
        name="VGG-16-C",
        network=partial(VGG, C),
        published=PUBLISHED["vgg16_c"],
        recipes=JITTERED,
        depth=16,
        note="Configuration C: B with three 1x1 convolutions; better than B, worse than the 3x3 of D.",
    ),
    describe(
        key="vgg16",
        name="VGG-16",
        network=partial(VGG, D),
        published=PUBLISHED["vgg16"],
        recipes=JITTERED,
        depth=16,
        note="Configuration D: only 3x3 convolutions; 89 % of the weights are in the fully connected layers.",
        counterpart=Counterpart("torchvision", "vgg16"),
        keras_depth=16,
        differences=(AVERAGE, START, KERAS),
    ),
    describe(
        key="vgg19",
        name="VGG-19",
        network=partial(VGG, E),
        published=PUBLISHED["vgg19"],
        recipes=DEEPEST,
        depth=19,
        note="Configuration E, the deepest: 4.2 G more multiply-accumulates than D, about the same error.",
        counterpart=Counterpart("torchvision", "vgg19"),
        keras_depth=19,
        differences=(AVERAGE, START, KERAS),
    ),
    *(
        describe(
            key=f"vgg{depth}_bn",
            name=f"VGG-{depth}-BN",
            network=partial(VGG, kernels, batch_norm=True),
            published=PUBLISHED[f"vgg{depth}_bn"],
            recipes=NORMALISED,
            depth=depth,
            note=f"torchvision's VGG-{depth} with batch normalisation; the paper is older than the method.",
            counterpart=Counterpart("torchvision", f"vgg{depth}_bn"),
            differences=(AVERAGE, START),
        )
        for depth, kernels in ((11, A), (13, B), (16, D), (19, E))
    ),
)
