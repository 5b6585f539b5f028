"""AlexNet, from "ImageNet Classification with Deep Convolutional Neural Networks".

Krizhevsky, Sutskever and Hinton (NIPS 2012), section 3 and figure 2.

Input N x 3 x 224 x 224 (227 gives the same maps; any size from 64 on works), output N x classes.
60,965,224 parameters and 724,406,816 multiply-accumulates with 1000 classes.

Deviations:
    - The two streams live on one device, as grouped convolutions; each normalises its own channels, as
      in the code of 2012 (Caffe normalises across both, which differs in four channels of each layer).
    - The paper crops 224 px but prints maps of 55, which 224 does not give without padding. The code of
      2012 rounds up; here zeros on the right and at the bottom complete the last step of 4 pixels.
    - alpha of the local response normalisation counts for the mean, not the sum, of the squares: the
      code of 2012 divides by the window, the formula in the paper does not.
    - ReLU comes before normalisation in the first layer, as the paper says (the code has it after pooling).
    - Dropout scales the kept outputs by 2 in training, where the paper halves all of them in testing.
"""

from collections import OrderedDict

from torch import nn

from lightning_modules.architecture import Architecture, Paper, PublishedError
from lightning_modules.normalization import LocalResponseNorm
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Plateau

BIAS_ONE = ("conv2", "conv4", "conv5", "fc6", "fc7")


class AlexNet(nn.Sequential):
    """The two-stream network of 2012, with its initialisation."""

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(self, num_classes: int, image_size: int) -> None:
        side = map_side(image_size)
        super().__init__(
            OrderedDict(
                conv1=nn.Sequential(  # N x 96 x 55 x 55
                    nn.ZeroPad2d((0, (11 - image_size) % 4, 0, (11 - image_size) % 4)),
                    nn.Conv2d(3, 96, 11, stride=4),
                    nn.ReLU(inplace=True),
                    LocalResponseNorm(96, k=2.0, groups=2),
                ),
                pool1=nn.MaxPool2d(3, 2),  # N x 96 x 27 x 27
                conv2=nn.Sequential(  # N x 256 x 27 x 27
                    nn.Conv2d(96, 256, 5, padding=2, groups=2),
                    nn.ReLU(inplace=True),
                    LocalResponseNorm(256, k=2.0, groups=2),
                ),
                pool2=nn.MaxPool2d(3, 2),  # N x 256 x 13 x 13
                conv3=nn.Sequential(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True)),
                conv4=nn.Sequential(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True)),
                conv5=nn.Sequential(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True)),
                pool5=nn.MaxPool2d(3, 2),  # N x 256 x 6 x 6
                fc6=nn.Sequential(
                    nn.Flatten(), nn.Linear(256 * side * side, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)
                ),
                fc7=nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)),
                fc8=nn.Linear(4096, num_classes),
            )
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weights from N(0, 0.01); biases are 1 where the paper wants ReLUs fed early, else 0."""
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                assert layer.bias is not None
                nn.init.constant_(layer.bias, 1.0 if name.startswith(BIAS_ONE) else 0.0)


def map_side(image_size: int) -> int:
    """Returns the side of the last feature map: 6 for 224 pixels, 1 for 64."""
    side = -(-(image_size - 11) // 4) + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


PAPER = Paper(
    title="ImageNet Classification with Deep Convolutional Neural Networks",
    authors="Alex Krizhevsky, Ilya Sutskever, Geoffrey E. Hinton",
    venue="NIPS 2012",
    year=2012,
    url="https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
)
VAL, TEST = "ILSVRC2012 val", "ILSVRC2012 test"
PUBLISHED = (
    PublishedError(40.7, 18.2, VAL, "10 crops", 1, "Krizhevsky 2012, Table 2"),
    PublishedError(
        42.9, 19.8, VAL, "center crop", 1, "Caffe bvlc_alexnet, a retraining without colour noise"
    ),
    PublishedError(38.1, 16.4, VAL, "10 crops", 5, "Krizhevsky 2012, Table 2"),
    PublishedError(None, 16.4, TEST, "10 crops", 5, "Krizhevsky 2012, Table 2"),
    PublishedError(
        None, 15.3, TEST, "10 crops, two networks pre-trained on 2011 Fall", 7, "Krizhevsky 2012, Table 2"
    ),
)
PAPER_RECIPE = Recipe(
    source="Krizhevsky 2012, sections 4 and 5",
    learning_rate=0.01,
    weight_decay=5e-4,
    batch_size=128,
    epochs=90,
    schedule=Plateau(multiplier=0.1, patience_epochs=5, reductions=3),
    augmentation="alexnet",
    open_choices=(
        "The rate was divided by hand when validation stopped improving; we wait 5 epochs.",
        "Whether biases decay is not said; here they do.",
    ),
)

ARCHITECTURES = (
    Architecture(
        key="alexnet",
        name="AlexNet",
        family="AlexNet",
        paper=PAPER,
        network=AlexNet,
        input_size=224,
        minimum_size=64,
        published=PUBLISHED,
        recipes={"paper": PAPER_RECIPE, "modern": modern(0.01), "quick": quick(5e-4, epochs=4)},
        depth=8,
        note="Two streams that meet at conv3; 96 % of the weights are in the fully connected layers.",
    ),
)
