"""AlexNet and its variants, from "ImageNet Classification with Deep Convolutional Neural Networks".

Krizhevsky, Sutskever and Hinton (NIPS 2012), section 3 and figure 2. CaffeNet is Caffe's
bvlc_reference_caffenet (Jia et al., arXiv 1408.5093). AlexNet-OWT is the network of "One weird trick for
parallelizing convolutional neural networks" (Krizhevsky, arXiv 1404.5997) in torchvision's version.

The input is N x 3 x 224 x 224 (CaffeNet: 227), the output N x classes. Sizes from 64 px on work (AlexNet-OWT:
from 63 px on); 227 px gives the same feature maps as 224 px. All of them have maps of 55, 27, 13 and 6
pixels. With 1000 classes:

    ==================  ==========  ====================
    Network             Parameters  Multiply-accumulates
    ==================  ==========  ====================
    AlexNet             60,965,224           724,406,816
    CaffeNet            60,965,224           724,406,816
    AlexNet one stream  62,378,344         1,135,256,096
    AlexNet-OWT         61,100,840           714,188,480
    ==================  ==========  ====================

Deviations:
    - The two streams are grouped convolutions on one device. Each normalises its own channels, as in the
      code of 2012 (Caffe normalises across both, which differs in four channels of each layer).
    - The paper has crops of 224 px and maps of 55 px, which requires padding. The code of 2012 rounds up;
      here zeros on the right and at the bottom complete the last stride of 4 pixels.
    - alpha of the local response normalisation is the factor of the mean of the squares, not of their sum:
      the code of 2012 divides by the window size, the formula in the paper does not.
    - ReLU precedes normalisation in the first layer, as in the paper (in the code it follows pooling).
    - The mean colour is subtracted, unless a run is given the mean image of its training set
      (``data.mean_image``), which is what the paper subtracts. For 2,000 images of Tiny ImageNet the two
      differ by 5 of 255 (root mean square), of which 1.5 are explained by chance. In both cases pixels are
      then divided by their standard deviation, which the paper does not mention: the input of its network
      ranges from -124 to 151, that of ours from -2.1 to 2.6.
    - Dropout doubles the kept outputs in training; the paper halves all outputs in testing.
    - CaffeNet is often described as AlexNet in one stream. It runs on one device, but its convolutions have
      two groups; the network without groups has 1.4 M parameters more. CaffeNet differs from AlexNet in
      that it pools before it normalises, and normalises across all channels with k = 1, since Caffe's files
      do not set k. Caffe's own AlexNet initialises biases with 0.1, CaffeNet with 1, as the paper does.
    - AlexNet-OWT follows torchvision: no local response normalisation, padding of 2 in the first
      convolution, PyTorch's default initialisation, and dropout before fc6 and fc7 instead of after them.
      The code of 2014 normalises, does not pad, and rounds up. torchvision averages the last map to 6 x 6,
      which has no effect at 224 px; here fc6 has the size of the map instead.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from lightning_modules.architecture import Architecture, Counterpart, Paper
from lightning_modules.networks.local_response_norm import LocalResponseNorm
from lightning_modules.published import CENTER, TEN_CROPS, TEST, VAL, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Plateau, Step

BIAS_ONE = ("conv2", "conv4", "conv5", "fc6", "fc7")
Finish = Callable[[nn.Sequential, int], tuple[nn.Sequential, nn.Module]]


def convolve(channels: int, width: int, kernel: int, padding: int, groups: int = 1) -> nn.Sequential:
    """Build a convolution of stride 1 with its ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, padding=padding, groups=groups), nn.ReLU(inplace=True)
    )


def normalise_first(stage: nn.Sequential, channels: int, groups: int) -> tuple[nn.Sequential, nn.Module]:
    """Append the paper's local response normalisation to a stage; return the stage and the pool after it."""
    return stage.append(LocalResponseNorm(channels, k=2.0, groups=groups)), nn.MaxPool2d(3, 2)


def pool_first(stage: nn.Sequential, channels: int) -> tuple[nn.Sequential, nn.Module]:
    """Return a stage unchanged, and the pool after it with Caffe's local response normalisation."""
    return stage, nn.Sequential(nn.MaxPool2d(3, 2), LocalResponseNorm(channels, k=1.0))


class AlexNet(nn.Sequential):
    """The network of 2012, with its initialisation.

    Args:
        num_classes: Number of classes.
        image_size: Height and width of the square input, in pixels.
        groups: Number of streams, which are connected only in conv3 and the fully connected layers.
        finish: Adds normalisation and pooling to a stage with a number of channels.
        hidden_std: Standard deviation of the initial weights of fc6 and fc7; 0.01 in other layers.
    """

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(
        self, num_classes: int, image_size: int, groups: int, finish: Finish, hidden_std: float = 0.01
    ) -> None:
        missing = (11 - image_size) % 4
        conv1 = nn.Sequential(
            nn.ZeroPad2d((0, missing, 0, missing)), nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(inplace=True)
        )
        conv1, pool1 = finish(conv1, 96)
        conv2, pool2 = finish(convolve(96, 256, 5, padding=2, groups=groups), 256)
        side = map_side(image_size + missing)
        super().__init__(
            OrderedDict(
                conv1=conv1,  # N x 96 x 55 x 55
                pool1=pool1,  # N x 96 x 27 x 27
                conv2=conv2,  # N x 256 x 27 x 27
                pool2=pool2,  # N x 256 x 13 x 13
                conv3=convolve(256, 384, 3, padding=1),
                conv4=convolve(384, 384, 3, padding=1, groups=groups),
                conv5=convolve(384, 256, 3, padding=1, groups=groups),
                pool5=nn.MaxPool2d(3, 2),  # N x 256 x 6 x 6
                fc6=nn.Sequential(
                    nn.Flatten(), nn.Linear(256 * side * side, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)
                ),
                fc7=nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)),
                fc8=nn.Linear(4096, num_classes),
            )
        )
        self.hidden_std = hidden_std
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights from normal distributions; biases are 1 in some layers (section 5), otherwise 0."""
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                is_hidden = name.startswith(("fc6", "fc7"))
                nn.init.normal_(layer.weight, std=self.hidden_std if is_hidden else 0.01)
                assert layer.bias is not None
                nn.init.constant_(layer.bias, 1.0 if name.startswith(BIAS_ONE) else 0.0)


class OneWeirdTrick(nn.Sequential):
    """The network of 2014, without groups or normalisation, with PyTorch's default initialisation.

    Args:
        num_classes: Number of classes.
        image_size: Height and width of the square input, in pixels.
    """

    auxiliary_weights: tuple[float, ...] = ()

    def __init__(self, num_classes: int, image_size: int) -> None:
        side = map_side(image_size + 2 * 2)
        super().__init__(
            OrderedDict(
                conv1=nn.Sequential(
                    nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True)
                ),  # N x 64 x 55 x 55
                pool1=nn.MaxPool2d(3, 2),  # N x 64 x 27 x 27
                conv2=convolve(64, 192, 5, padding=2),
                pool2=nn.MaxPool2d(3, 2),  # N x 192 x 13 x 13
                conv3=convolve(192, 384, 3, padding=1),
                conv4=convolve(384, 256, 3, padding=1),
                conv5=convolve(256, 256, 3, padding=1),
                pool5=nn.MaxPool2d(3, 2),  # N x 256 x 6 x 6
                fc6=nn.Sequential(
                    nn.Flatten(), nn.Dropout(0.5), nn.Linear(256 * side * side, 4096), nn.ReLU(inplace=True)
                ),
                fc7=nn.Sequential(nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(inplace=True)),
                fc8=nn.Linear(4096, num_classes),
            )
        )


def map_side(padded_size: int) -> int:
    """Return the side of the last map for an image with its padding: 6 for 227 pixels, 1 for 67."""
    side = (padded_size - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


def build_streams(number: int, num_classes: int, image_size: int) -> AlexNet:
    """Build the paper's network with a number of streams, each of which normalises its own channels."""
    return AlexNet(num_classes, image_size, number, partial(normalise_first, groups=number))


def build_caffenet(num_classes: int, image_size: int) -> AlexNet:
    """Build Caffe's network, which pools before it normalises across both groups."""
    return AlexNet(num_classes, image_size, 2, pool_first, hidden_std=0.005)


PAPER = Paper(
    title="ImageNet Classification with Deep Convolutional Neural Networks",
    authors="Alex Krizhevsky, Ilya Sutskever, Geoffrey E. Hinton",
    venue="NIPS 2012",
    year=2012,
    url="https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
)
CAFFE = Paper(
    title="Caffe: Convolutional Architecture for Fast Feature Embedding",
    authors="Yangqing Jia, Evan Shelhamer, Jeff Donahue, Sergey Karayev, Jonathan Long, Ross Girshick, "
    "Sergio Guadarrama, Trevor Darrell",
    venue="ACM Multimedia 2014",
    year=2014,
    url="https://arxiv.org/abs/1408.5093",
)
ONE_WEIRD_TRICK = Paper(
    title="One weird trick for parallelizing convolutional neural networks",
    authors="Alex Krizhevsky",
    venue="arXiv 2014",
    year=2014,
    url="https://arxiv.org/abs/1404.5997",
)
PUBLISHED = (
    PublishedError(40.7, 18.2, VAL, TEN_CROPS, "Krizhevsky 2012, Table 2"),
    PublishedError(
        42.9, 19.8, VAL, CENTER, "Caffe bvlc_alexnet", trained_by="others", note="without colour noise"
    ),
    PublishedError(38.1, 16.4, VAL, TEN_CROPS, "Krizhevsky 2012, Table 2", models=5),
    PublishedError(None, 16.4, TEST, TEN_CROPS, "Krizhevsky 2012, Table 2", models=5),
    PublishedError(
        None,
        15.3,
        TEST,
        TEN_CROPS,
        "Krizhevsky 2012, Table 2",
        models=7,
        note="two of them pre-trained on the release of Fall 2011",
    ),
)
CAFFENET_PUBLISHED = (PublishedError(42.6, 19.6, VAL, CENTER, "README of Caffe's bvlc_reference_caffenet"),)
ONE_WEIRD_TRICK_PUBLISHED = (
    PublishedError(43.478, 20.934, VAL, CENTER, "torchvision IMAGENET1K_V1", trained_by="others"),
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
        "The learning rate was reduced by hand when validation stopped improving; we wait 5 epochs.",
        "Weight decay of biases is not specified; here it applies.",
    ),
)
CAFFENET_RECIPE = Recipe(
    source="Solver of Caffe's bvlc_reference_caffenet (Jia 2014)",
    learning_rate=0.01,
    weight_decay=5e-4,
    decay_all=False,
    batch_size=256,
    epochs=90,
    schedule=Step(every_epochs=20, multiplier=0.1),
    augmentation="light",
    open_choices=(
        "Caffe counts iterations: 450,000 with a step every 100,000, which are 89.9 and 20.0 epochs.",
        "Caffe doubles the learning rate of biases; here it is the same for all parameters.",
        "Caffe resizes whole images to a square; here the square is their center crop.",
    ),
)
ONE_WEIRD_TRICK_RECIPE = Recipe(
    source="torchvision's references, for the network of Krizhevsky 2014",
    learning_rate=0.01,
    weight_decay=1e-4,
    batch_size=256,
    epochs=90,
    schedule=Step(every_epochs=30, multiplier=0.1),
    augmentation="modern",
    open_choices=(
        "This is the recipe of torchvision's weights, because the network is torchvision's version.",
    ),
)
OTHER_RECIPES = {"modern": modern(0.01), "quick": quick(5e-4, epochs=4)}
describe = partial(Architecture, family="AlexNet", depth=8)

ARCHITECTURES = (
    describe(
        key="alexnet",
        name="AlexNet",
        paper=PAPER,
        network=partial(build_streams, 2),
        input_size=224,
        minimum_size=64,
        published=PUBLISHED,
        recipes={"paper": PAPER_RECIPE, **OTHER_RECIPES},
        note="Two streams, connected in conv3; 96 % of the weights are in the fully connected layers.",
        differences=("torchvision's alexnet is another network, here AlexNet-OWT; Keras has no AlexNet.",),
    ),
    describe(
        key="alexnet_one_stream",
        name="AlexNet one stream",
        paper=PAPER,
        network=partial(build_streams, 1),
        input_size=224,
        minimum_size=64,
        published=(),
        recipes={"paper": PAPER_RECIPE, **OTHER_RECIPES},
        note="AlexNet's widths without groups: 2 % more parameters, 57 % more multiply-accumulates.",
        differences=(
            "torchvision's alexnet (AlexNet-OWT) also has one stream, but other widths and no normalisation.",
        ),
    ),
    describe(
        key="caffenet",
        name="CaffeNet",
        paper=CAFFE,
        network=build_caffenet,
        input_size=227,
        minimum_size=64,
        published=CAFFENET_PUBLISHED,
        recipes={"paper": CAFFENET_RECIPE, **OTHER_RECIPES},
        note="AlexNet with pooling before normalisation; on one device, but still with two groups.",
    ),
    describe(
        key="alexnet_owt",
        name="AlexNet-OWT",
        paper=ONE_WEIRD_TRICK,
        network=OneWeirdTrick,
        input_size=224,
        minimum_size=63,
        published=ONE_WEIRD_TRICK_PUBLISHED,
        recipes={"paper": ONE_WEIRD_TRICK_RECIPE, **OTHER_RECIPES},
        note="One stream of 64 to 384 channels without normalisation; torchvision's alexnet.",
        counterpart=Counterpart("torchvision", "alexnet"),
        differences=(
            "torchvision averages the last map to 6 x 6, which has no effect at 224 px.",
            "Keras has no AlexNet.",
        ),
    ),
)
