"""An interrupted epoch goes on with the very next image: the same images and pixels as without a stop."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules.imagenet import ImageNetDataModule
from datamodules.problems import Training
from datamodules.reading.resumable import ResumableLoader
from datamodules.reading.sampling import EpochSampler
from tests.refusals import refused

REPOSITORY = Path(__file__).parents[2]
NUM_IMAGES, BATCH_SIZE, EPOCH = 90, 8, 3


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety images whose red is their number and whose green is a ramp, so that crops can be told apart."""
    root = tmp_path_factory.mktemp("numbered")
    for number in range(NUM_IMAGES):
        pixels = np.full((12, 12, 3), number, dtype=np.uint8)
        pixels[:, :, 1] = np.arange(12) * 20
        for split in ("train", "val")[: 2 if number < 4 else 1]:
            folder = root / split / f"n{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return root


def module(root: Path, num_workers: int, **changes: Any) -> ImageNetDataModule:
    settings = {"source": "folder", "root": str(root), "image_size": 8, "batch_size": BATCH_SIZE, "seed": 7}
    return ImageNetDataModule(**settings | {"num_workers": num_workers} | changes)


def numbers(batches: list[Tensor]) -> list[int]:
    """Which images these are."""
    return [int(image[0, 0, 0]) for batch in batches for image in batch]


def read(batches: Iterator[Any]) -> list[Tensor]:
    return [batch.images for batch in batches]


@pytest.mark.parametrize(("workers", "workers_later"), [(0, 0), (2, 2), (0, 2), (2, 0)])
@pytest.mark.parametrize("batches", [1, 6, 11])
def test_the_next_image_follows(batches: int, workers: int, workers_later: int, numbered: Path) -> None:
    whole = module(numbered, 0).train_dataloader()
    whole.sampler.set_epoch(EPOCH)
    expected = read(iter(whole))
    assert len(expected) == len(whole) == NUM_IMAGES // BATCH_SIZE == 11
    assert len(set(numbers(expected))) == 88

    interrupted = module(numbered, workers)
    loader = interrupted.train_dataloader()
    loader.sampler.set_epoch(EPOCH)
    before = read(islice(iter(loader), batches))
    state = json.loads(json.dumps(interrupted.state_dict()))

    resumed = module(numbered, workers_later)
    resumed.load_state_dict(state)
    loader = resumed.train_dataloader()
    iterator = iter(loader)  # Lightning asks for it before it says which epoch it is
    loader.sampler.set_epoch(EPOCH)
    assert resumed.state_dict() == state and len(loader) == 11
    after = read(iterator)
    assert numbers(before) + numbers(after) == numbers(expected)
    assert torch.equal(torch.cat(before + after), torch.cat(expected)), "augmented otherwise"

    # The place belongs to its epoch: neither the next one nor the same once more begins there.
    assert len(read(iter(loader))) == 11
    loader.sampler.set_epoch(EPOCH + 1)
    assert len(read(iter(loader))) == 11 and resumed.state_dict()["epoch"] == EPOCH + 1


def test_the_wait_for_images_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0

    def read_slowly() -> Iterator[int]:
        nonlocal now_s
        for number in range(3):
            now_s += 2
            yield number

    class Slow:
        def __len__(self) -> int:
            return 3

        def __iter__(self) -> Iterator[Any]:
            return read_slowly()

    monkeypatch.setattr("datamodules.reading.resumable.monotonic", lambda: now_s)
    loader = ResumableLoader(Slow(), EpochSampler(3, seed=0), batch_size=1)
    for _ in loader:
        now_s += 50  # a step: nobody waits for images
    assert loader.waited_s == 3 * 2
    assert list(loader) == [0, 1, 2] and loader.waited_s == 6 * 2


def test_an_epoch_goes_on_with_another_number_of_processes() -> None:
    def draws(rank: int, world_size: int, start: int) -> list[Any]:
        sampler = EpochSampler(1003, seed=5, rank=rank, world_size=world_size)
        sampler.start = start
        return list(sampler)

    whole = draws(0, 1, 0)
    first, second = draws(0, 2, 300), draws(1, 2, 300)
    assert [draw for pair in zip(first, second, strict=True) for draw in pair] == whole[600:1002]
    assert draws(0, 1, 600) == whole[600:]


@pytest.mark.parametrize(
    ("changes", "name", "before", "now"),
    [
        ({"batch_size": 16}, "batch size of all devices", 8, 16),
        ({"seed": 8}, "seed", 7, 8),
    ],
)
def test_another_order_is_refused(
    changes: dict[str, int], name: str, before: int, now: int, numbered: Path
) -> None:
    interrupted = module(numbered, 0)
    next(iter(interrupted.train_dataloader()))
    after = module(numbered, 0, **changes)
    after.load_state_dict(interrupted.state_dict())
    with refused(Training.OTHER_EPOCH, name=name, before=before, now=now):
        after.train_dataloader()


@pytest.mark.parametrize("devices", [1, 2])
def test_under_lightning(devices: int, numbered: Path, tmp_path: Path) -> None:
    """Sample ids as `training_step` gets them, with 0 and 2 workers, by one process or two under DDP."""
    command = [sys.executable, "-m", "tests.datamodules.interrupted", str(numbered), str(tmp_path)]
    environment = os.environ | {"DEVICES": str(devices)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for num_workers in (0, 2):
        of_each = []
        for rank in range(devices):
            whole, before, after = json.loads((tmp_path / f"{num_workers}-{rank}.json").read_text())
            assert len(whole) == 3 * (6 if devices == 1 else 5) * BATCH_SIZE
            assert before + after == whole, (num_workers, rank)
            of_each.append(whole)
        one_epoch = [number for whole in of_each for number in whole[: len(whole) // 3]]
        assert len(set(one_epoch)) == len(one_epoch), "an image was seen twice"


def test_a_million_images_take_little_memory() -> None:
    sampler = EpochSampler(1_281_167, seed=0)
    tracemalloc.start()
    for _ in islice(sampler, 10_000):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6, "Python objects for every image of ImageNet"
