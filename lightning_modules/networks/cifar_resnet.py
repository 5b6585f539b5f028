"""Small ResNets for CIFAR-10 and plain counterparts, from "Deep Residual Learning for Image Recognition".

He, Zhang, Ren and Sun (arXiv 1512.03385, CVPR 2016), section 4.2: a 3x3 convolution, three stages of 2n 3x3
convolutions with 16, 32 and 64 channels, global average pooling and one linear layer; 6n + 2 layers in total.

The input is N x 3 x 32 x 32 (sizes from 8 px on work), the output N x classes. With 10 classes, and the
paper's shortcuts without parameters (option A) or no shortcuts:

    =====  ===  ==========  ====================
    Depth    n  Parameters  Multiply-accumulates
    =====  ===  ==========  ====================
       20    3     269,722            40,551,040
       32    5     464,154            68,862,592
       44    7     658,586            97,174,144
       56    9     853,018           125,485,696
      110   18   1,727,962           252,887,680
     1202  200  19,421,274         2,829,238,912
    =====  ===  ==========  ====================

Projections (option B) add 2,752 parameters and 262,144 multiply-accumulates at every depth.

Deviations:
    - The shortcuts are those of ``resnet``: zeros are appended to the channels, and even pixels are kept.
      Implementations with the channels in the middle are equivalent, but their weights do not fit here.
    - The mean colour is subtracted, or the mean image as in the paper if a run is given one; see
      ``alexnet``.
    - 64,000 steps are 182 epochs of 45,000 images, with which the paper chose its schedule, or 164 epochs of
      all 50,000 images. We train for 182 epochs.
    - ResNet-110 starts with a tenth of the learning rate for one epoch; the paper waits for a training error
      below 80 %, about 400 steps or 1.1 epochs.
    - Before training, the running statistics are 0 and 1, so in evaluation mode every block doubles the
      variance of its input, and 600 blocks overflow float32. ResNet-1202 has finite outputs only after some
      training steps.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from torch import nn

from lightning_modules.architecture import Architecture
from lightning_modules.networks.resnet import PAPER, Block, ResNet, build_basic, build_plain, convolve
from lightning_modules.published import CIFAR_TEST, WHOLE, PublishedError
from lightning_modules.recipes import Recipe, modern, quick
from lightning_modules.schedules import Milestones


def build_cifar(build_block: Block, depth: int, num_classes: int) -> ResNet:
    """Build a network of ``depth`` = 6n + 2 layers: three stages of n blocks with two convolutions."""
    stem = {"conv1": nn.Sequential(*convolve(3, 16, 3), nn.ReLU(inplace=True))}  # N x 16 x 32 x 32
    return ResNet(stem, 16, build_block, 1, (16, 32, 64), 3 * ((depth - 2) // 6,), num_classes)


def build_cifar_resnet(depth: int, num_classes: int, image_size: int, shortcut: str) -> ResNet:
    """Build a network of basic blocks; its layers do not depend on the image size."""
    return build_cifar(partial(build_basic, shortcut=shortcut), depth, num_classes)


def build_cifar_plain(depth: int, num_classes: int, image_size: int) -> ResNet:
    """Build a network without shortcuts; its layers do not depend on the image size."""
    return build_cifar(build_plain, depth, num_classes)


PAPER_RECIPE = Recipe(
    source="He 2015, section 4.2",
    learning_rate=0.1,
    weight_decay=1e-4,
    batch_size=128,
    epochs=182,
    schedule=Milestones(at=(0.5, 0.75), multiplier=0.1),
    augmentation="cifar",
    open_choices=(
        "The paper trains for 64,000 steps: 182 epochs of 45,000 images, or 164 of all 50,000.",
        "Weight decay of biases and normalisation weights is not specified; here it applies.",
        "The classifier's initialisation is not specified; here it is N(0, 0.01).",
    ),
)
WARM = (
    "The paper starts with 0.01 until the training error is below 80 %, after about 1.1 epochs; here 1 epoch."
)
WARM_RECIPE = replace(
    PAPER_RECIPE, warmup_epochs=1, warmup_factor=0.1, open_choices=(*PAPER_RECIPE.open_choices, WARM)
)
WARM_1202 = "The paper trains 1202 layers as it does 110; we assume that this includes the low start."
WARM_RECIPE_1202 = replace(WARM_RECIPE, open_choices=(*WARM_RECIPE.open_choices, WARM_1202))
QUICK = quick(3e-3, epochs=5)


def reported(top1: float, note: str = "") -> PublishedError:
    """Return a result of one network on the test images of CIFAR-10, each with a single view."""
    return PublishedError(top1, None, CIFAR_TEST, WHOLE, "He 2015, Table 6", note=note)


PUBLISHED: Mapping[int, tuple[PublishedError, ...]] = {
    20: (reported(8.75),),
    32: (reported(7.51),),
    44: (reported(7.17),),
    56: (reported(6.97),),
    110: (
        reported(6.43, "best of five runs"),
        reported(6.61, "mean of five runs, standard deviation 0.16"),
    ),
    1202: (reported(7.93),),
}


describe = partial(
    Architecture, family="CIFAR ResNet", paper=PAPER, input_size=32, minimum_size=8, num_classes=10
)
PAPER_RECIPES = {110: WARM_RECIPE, 1202: WARM_RECIPE_1202}
PLAIN_NOTES = {
    20: "CIFAR ResNet-20 without shortcuts; deeper plain networks have higher training errors.",
    110: "CIFAR ResNet-110 without shortcuts; hardly trains: the paper reports an error above 60 %.",
}
RESNET_NOTES = {
    110: "54 blocks with 1.7 M parameters; starts with a tenth of its learning rate.",
    1202: "600 blocks; trains without difficulty, but has a higher test error than 110 layers.",
}

ARCHITECTURES = (
    *(
        describe(
            key=f"cifar_resnet{depth}",
            name=f"CIFAR ResNet-{depth}",
            network=partial(build_cifar_resnet, depth),
            published=PUBLISHED[depth],
            recipes={"paper": PAPER_RECIPES.get(depth, PAPER_RECIPE), "modern": modern(0.1), "quick": QUICK},
            depth=depth,
            options={"shortcut": ("A", "B")},
            note=RESNET_NOTES.get(
                depth, f"{depth // 2 - 1} blocks of two 3x3 convolutions, 16 to 64 channels wide."
            ),
        )
        for depth in (20, 32, 44, 56, 110, 1202)
    ),
    *(
        describe(
            key=f"cifar_plain{depth}",
            name=f"CIFAR Plain-{depth}",
            network=partial(build_cifar_plain, depth),
            published=(),  # the paper has only curves
            recipes={"paper": PAPER_RECIPE, "modern": modern(0.1), "quick": QUICK},
            depth=depth,
            note=PLAIN_NOTES.get(depth, f"CIFAR ResNet-{depth} without shortcuts."),
        )
        for depth in (20, 32, 44, 56, 110)
    ),
)
