"""Augmentations do in the batch what they say, and say what they do."""

import pytest
import torch

from datamodules.pixels import augmentation
from datamodules.pixels.augmentation import AUGMENTATIONS
from datamodules.problems import Argument
from tests.refusals import refused

SEEDS = torch.randint(2**62, (256,), generator=torch.Generator().manual_seed(0))


def test_unknown_augmentation() -> None:
    with refused(Argument.NO_AUGMENTATION, name="dark", known=", ".join(AUGMENTATIONS)):
        augmentation.get("dark")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_one_sentence_explains_it(name: str) -> None:
    described = augmentation.get(name).description
    assert described[0].isupper() and described.endswith(".") and len(described) <= 110


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_what_happens_on_the_device(name: str) -> None:
    """Seen on grey images of two classes: which colours, how many with a hole, which targets."""
    chosen = augmentation.get(name)
    pixels = torch.full((256, 3, 16, 16), 100.0)
    pixels[::2] = 150
    labels = torch.arange(256) % 2
    images, targets = chosen.finish(pixels.clone(), labels, SEEDS, lambda pixels: pixels - 10, 4)
    plain = pixels - 10
    untouched = float((images == plain).flatten(1).all(1).float().mean())
    assert (untouched < 0.2) == bool(chosen.colour or chosen.mixes)
    if chosen.mixes:
        assert targets.shape == (256, 4) and torch.allclose(targets.sum(1), torch.ones(256))
    else:
        assert targets is labels
    holes = (images == 0).any(3).any(2).any(1).float().mean()
    assert (holes > 0.02) == chosen.erases
