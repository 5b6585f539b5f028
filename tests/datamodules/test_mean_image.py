"""The mean image: computed once, and subtracted from every image that is trained on or validated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.__main__ import main
from datamodules.imagenet import ImageNetDataModule
from datamodules.pixels.normalisation import normalisation, normalise
from datamodules.problems import DataError, Reading
from problems import Code
from tests.exits import exit_code
from tests.refusals import refused


@pytest.fixture
def mean_file(folder: Path, tmp_path: Path) -> Path:
    file = tmp_path / "mean.npy"
    options = ["--root", str(folder), "--image_size", "32", "--num_workers", "0", "--output", str(file)]
    assert main(["mean", "folder", *options]) == 0
    return file


def test_the_mean_of_centers(folder: Path, mean_file: Path) -> None:
    centers = []
    for file in (folder / "train").rglob("*.JPEG"):
        with Image.open(file) as image:  # 48 x 40: short side to 37, the center of 32
            small = image.resize((44, 37), Image.Resampling.BILINEAR).crop((6, 2, 38, 34))
        centers.append(np.asarray(small, dtype=float))
    assert len(centers) == 12
    expected = np.mean(centers, axis=0).transpose(2, 0, 1)
    found = np.load(mean_file, allow_pickle=False)
    assert found.dtype == np.float32 and np.abs(found - expected).max() < 1


def test_what_cannot_be_written_is_said_before_images_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert exit_code(main, ["mean", "digits", "--output", str(tmp_path / "file" / "mean.npy")]) == 2
    problem = DataError(Reading.FAILED, file=tmp_path / "file", said="File exists")
    assert capsys.readouterr().err == f"{problem}\n"


def test_is_subtracted_instead_of_the_mean_colour(folder: Path, mean_file: Path) -> None:
    data = ImageNetDataModule(
        "folder", str(folder), image_size=32, batch_size=6, num_workers=0, mean_image=str(mean_file)
    )
    mean = torch.from_numpy(np.load(mean_file))
    std = 255 * torch.tensor(data.images.std)[:, None, None]
    batch = next(iter(data.train_dataloader()))
    images, _ = data.finish(batch.images, batch.labels, batch.seeds)
    assert torch.allclose(images, (batch.images - mean) / std, atol=1e-5)
    batch = next(iter(data.val_dataloader()))
    images, _ = data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)
    assert torch.allclose(images, (batch.images - mean) / std, atol=1e-5)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_batches_are_laid_out_alike_on_other_devices() -> None:
    """On torch's device without numbers, which goes the way of all but processors."""
    images = torch.empty(2, 3, 8, 8, dtype=torch.uint8, device="meta")
    images = images.to(memory_format=torch.channels_last)
    std = torch.empty(3, 1, 1, device="meta")
    for mean in (std, torch.empty(3, 8, 8, device="meta")):
        normalised = normalise(images, normalisation(mean, std, images.device))
        assert normalised.shape == (2, 3, 8, 8) and normalised.dtype == torch.float32
        assert normalised.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, Reading.FAILED),
        (b"PK, or so", Reading.BAD_MEAN_IMAGE),
        (np.zeros((3, 16, 16), np.float32), Reading.BAD_MEAN_IMAGE),
        (np.zeros((3, 32, 32), np.uint8), Reading.BAD_MEAN_IMAGE),
        (np.array([{}]), Reading.BAD_MEAN_IMAGE),
    ],
)
def test_another_file_is_refused(content: object, code: Code, tmp_path: Path) -> None:
    file = tmp_path / "mean.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content, allow_pickle=True)
    with refused(code) as error:
        ImageNetDataModule(image_size=32, mean_image=str(file))
    assert str(error.value.values["file"]) == str(file)
