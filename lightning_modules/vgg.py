"""VGG, from "Very Deep Convolutional Networks for Large-Scale Image Recognition".

Simonyan and Zisserman (arXiv 1409.1556, ICLR 2015), table 1.

Input N x 3 x 224 x 224 (any size from 32 on works), output N x classes.
VGG-16 is configuration D: 138,357,544 parameters and 15,470,264,320 multiply-accumulates with 1000 classes.

Deviations:
    - Weights start from Glorot's initialisation in one go. The paper trained configuration A first and
      copied layers from it; it later found Glorot's to make this unnecessary (section 3.1).
    - Testing looks at one image of the training size; the paper slides the network over larger ones.
"""

from collections import OrderedDict
from functools import partial

from torch import nn

from lightning_modules.architecture import Architecture, Paper, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Plateau

WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Sequential):
    """Five blocks of 3x3 convolutions and three fully connected layers, without normalisation.

    Args:
        depths: Convolutions in each of the five blocks.
        num_classes: Width of the classifier.
        image_size: Height and width of the square input, in pixels.
    """

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(self, depths: tuple[int, ...], num_classes: int, image_size: int) -> None:
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for number, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=1):
            stages[f"conv{number}"] = build_block(channels, width, depth)  # N x 64 x 224 x 224 at first
            stages[f"pool{number}"] = nn.MaxPool2d(2, 2)
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
        """Draws weights as Glorot and Bengio (2010) do; biases are 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)


def build_block(channels: int, width: int, depth: int) -> nn.Sequential:
    """Returns ``depth`` 3x3 convolutions, each followed by a ReLU, that keep height and width."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        channels = width
    return nn.Sequential(*layers)


PAPER = Paper(
    title="Very Deep Convolutional Networks for Large-Scale Image Recognition",
    authors="Karen Simonyan, Andrew Zisserman",
    venue="ICLR 2015",
    year=2014,
    url="https://arxiv.org/abs/1409.1556",
)
PAPER_RECIPE = Recipe(
    source="Simonyan and Zisserman 2014, section 3.1",
    learning_rate=0.01,
    weight_decay=5e-4,
    batch_size=256,
    epochs=74,
    schedule=Plateau(multiplier=0.1, patience_epochs=5, reductions=3),
    augmentation="vgg",
    open_choices=(
        "How long validation may stand still before the rate falls is not said; we wait 5 epochs.",
        "Whether biases decay is not said; here they do.",
        "Scales are jittered from the start; the paper fine-tuned from a single-scale network.",
    ),
)
VAL, TEST = "ILSVRC2012 val", "ILSVRC2012 test"
VGG16_PUBLISHED = (
    PublishedError(25.6, 8.1, VAL, "dense, scale 384", 1, "Simonyan and Zisserman 2014, Table 3"),
    PublishedError(24.8, 7.5, VAL, "dense, scales 256, 384, 512", 1, "Simonyan and Zisserman 2014, Table 4"),
    PublishedError(
        24.4, 7.2, VAL, "150 crops and dense, scales 256, 384, 512", 1, "Simonyan and Zisserman 2014, Table 5"
    ),
    PublishedError(28.07, 9.33, VAL, "10 crops", 1, "He 2015, Table 3, a test of the released network"),
    PublishedError(28.408, 9.618, VAL, "center crop", 1, "torchvision IMAGENET1K_V1, a retraining"),
    PublishedError(
        23.7, 6.8, VAL, "150 crops and dense, with VGG-19", 2, "Simonyan and Zisserman 2014, Table 6"
    ),
    PublishedError(None, 7.3, TEST, "dense, ILSVRC2014 entry", 7, "Simonyan and Zisserman 2014, Table 6"),
)

ARCHITECTURES = (
    Architecture(
        key="vgg16",
        name="VGG-16",
        family="VGG",
        paper=PAPER,
        network=partial(VGG, (2, 2, 3, 3, 3)),
        input_size=224,
        minimum_size=32,
        published=VGG16_PUBLISHED,
        recipes={"paper": PAPER_RECIPE, "modern": modern(0.01), "quick": quick(4e-4, epochs=3)},
        depth=16,
        note="Configuration D: only 3x3 convolutions; 89 % of the weights are in the fully connected layers.",
        keras_depth=16,
    ),
)
