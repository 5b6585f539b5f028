"""RandAugment and TrivialAugment: torchvision's operations at its amounts, drawn from an image's seed."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from datamodules.pixels.policies import NUM_LEVELS, OPERATIONS, RANDAUGMENT, SIGNED, TRIVIALAUGMENT, Policy

# The order of ours.
NAMES = (
    *("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast"),
    *("Sharpness", "Identity", "Posterize", "Solarize", "AutoContrast", "Equalize"),
)
POLICIES = {"randaugment": RANDAUGMENT, "trivialaugment": TRIVIALAUGMENT}
THEIRS = {"randaugment": v2.RandAugment(), "trivialaugment": v2.TrivialAugmentWide()}


def photograph(seed: int = 0, size: int = 224) -> Image.Image:
    rough = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((size, size), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("level", [0, 9, 17, NUM_LEVELS - 1])
@pytest.mark.parametrize("name", POLICIES)
def test_operations_are_those_of_torchvision(name: str, level: int) -> None:
    policy, theirs, image = POLICIES[name], THEIRS[name], photograph()
    assert set(NAMES) == set(theirs._AUGMENTATION_SPACE) and len(NAMES) == len(OPERATIONS)
    for kind, operation in zip(NAMES, OPERATIONS, strict=True):
        magnitudes, is_signed = theirs._AUGMENTATION_SPACE[kind]
        assert is_signed == (operation in SIGNED)
        amounts = magnitudes(NUM_LEVELS, 224, 224)
        for sign in (-1, 1) if is_signed else (1,):
            amount = 0.0 if amounts is None else sign * float(amounts[level])
            expected = theirs._apply_image_or_video_transform(image, kind, amount, "nearest", theirs._fill)
            ours = operation(image, sign * level / (NUM_LEVELS - 1), policy.reach)
            difference = np.abs(np.asarray(ours, int) - np.asarray(expected, int))
            # Their amounts are float32: a pixel at a threshold or between two places may fall either way.
            assert (difference > 1).any(axis=2).mean() < 0.003, (kind, sign)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_an_image_looks_as_its_seed_says(policy: Policy) -> None:
    pixels = np.array(photograph(size=32))
    state = torch.get_rng_state()
    views = [policy.apply(pixels, seed) for seed in range(200)]
    assert all(view.dtype == np.uint8 and view.shape == (32, 32, 3) for view in views)
    assert all(np.array_equal(view, policy.apply(pixels, seed)) for seed, view in enumerate(views))
    assert torch.equal(torch.get_rng_state(), state), "nothing is drawn from what dropout draws from"
    assert len({view.tobytes() for view in views}) > 100


def test_every_operation_gets_its_share() -> None:
    """Seen by what is left: of 14 operations one leaves an image alone, and 28 of 29 levels do not."""
    pixels = np.array(photograph(size=16))
    alone = Policy(1, 9, RANDAUGMENT.reach)
    looks = Counter(alone.apply(pixels, seed).tobytes() for seed in range(2300))
    # 9 operations have two directions, 5 have one: 23 looks, each 1/28 or 1/14 of the images.
    assert len(looks) == 23
    counts = sorted(looks.values())
    assert counts[0] > 40 and counts[17] < 125 < counts[18] and counts[-1] < 220
