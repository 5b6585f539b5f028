"""Colours change as the papers say."""

import pytest
import torch

from datamodules import augmentation
from datamodules.augmentation import PCA_VALUES, PCA_VECTORS, PCAColour


def test_unknown_augmentation() -> None:
    with pytest.raises(ValueError, match=r"no augmentation 'dark'; choose one of: light, alexnet"):
        augmentation.get("dark")


def test_colour_moves_along_the_components() -> None:
    """One shift for the whole image, whose covariance is V diag((0.1 lambda)^2) V^T on pixels from 0 to 1."""
    torch.manual_seed(0)
    grey = torch.full((3, 2, 2), 128, dtype=torch.uint8)
    colour = PCAColour()
    shifts = torch.stack([colour(grey).float() - 128 for _ in range(4000)]) / 255
    assert torch.equal(shifts.amax((2, 3)), shifts.amin((2, 3)))
    measured = torch.cov(shifts[:, :, 0, 0].T)
    vectors, values = torch.tensor(PCA_VECTORS), torch.tensor(PCA_VALUES)
    expected = vectors @ torch.diag((0.1 * values) ** 2) @ vectors.T
    rounding = (1 / 255) ** 2 / 12 * torch.eye(3)
    assert torch.allclose(measured, expected + rounding, rtol=0.1, atol=3e-6)
