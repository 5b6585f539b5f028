"""Images that live on the device are seen as those that are read one by one; here the device is the CPU."""

import pytest
import torch
from torch import Tensor, nn

from datamodules.pixels.augmentation import AUGMENTATIONS, training_views, validation_view
from datamodules.reading import on_device
from datamodules.reading.dataset import TrainingImages, ValidationImages
from datamodules.reading.on_device import Cutter, TrainingDraws, ValidationDraws, find_resident
from datamodules.reading.sampling import Draw
from datamodules.sources.in_memory import MemorySplit

CPU = torch.device("cpu")
SHAPES = {"CIFAR": (3, 32, 32), "digits": (1, 10, 10), "oblong": (3, 36, 48), "large": (3, 256, 256)}
VIEWS = {name: one for name, one in AUGMENTATIONS.items() if one.policy is None}


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def split(request: pytest.FixtureRequest) -> MemorySplit:
    """Noise with some structure."""
    colours, height, width = request.param
    coarse = torch.rand(12, colours, height // 4 + 1, width // 4 + 1)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return MemorySplit((255 * smooth).round().byte(), torch.arange(12) % 5)


def difference(one: Tensor, other: Tensor) -> int:
    return int((one.int() - other.int()).abs().max())


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("name", VIEWS)
def test_the_pixels_are_those_that_a_reader_gives(split: MemorySplit, name: str, size: int) -> None:
    """To the last bit, but for boxes of whole pixels that are resized: torch rounds otherwise than Pillow."""
    resident, draws = find_resident(split), [Draw(number, 1000 * number + 7) for number in range(12)]
    assert resident is not None
    cutter = Cutter(resident, size, CPU)
    read = TrainingImages(split, VIEWS[name], size, can_mirror=True)[draws]
    drawn = TrainingDraws(resident, training_views(VIEWS[name], size, can_mirror=True))[draws].batch()
    assert drawn.mirrored.any() and not drawn.mirrored.all()
    images = cutter.cut(drawn)
    assert images.dtype == torch.uint8 and images.is_contiguous(memory_format=torch.channels_last)
    is_small = max(resident.size) <= 32
    assert difference(images, read.images) <= (0 if is_small else 1)
    assert torch.equal(drawn.labels, read.labels) and torch.equal(drawn.seeds, read.seeds)
    choose = validation_view(VIEWS[name], size)
    seen = ValidationDraws(resident, choose)[list(range(12))].batch()
    assert difference(cutter.cut(seen), ValidationImages(split, choose, size)[list(range(12))].images) == 0


def test_the_paper_s_crops_of_cifar_are_only_moved() -> None:
    resident = find_resident(MemorySplit(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.arange(4)))
    assert resident is not None
    draws = TrainingDraws(resident, training_views(AUGMENTATIONS["cifar"], 32, can_mirror=True))
    assert draws[[Draw(0, 1), Draw(1, 2)]].batch().moves_only
    draws = TrainingDraws(resident, training_views(AUGMENTATIONS["light"], 32, can_mirror=True))
    assert not draws[[Draw(0, 1), Draw(1, 2)]].batch().moves_only


def test_many_images_are_resized_a_few_at_a_time(split: MemorySplit, monkeypatch: pytest.MonkeyPatch) -> None:
    resident, draws = find_resident(split), [Draw(number, number) for number in range(12)]
    assert resident is not None
    drawn = TrainingDraws(resident, training_views(AUGMENTATIONS["modern"], 32, True))[draws].batch()
    cutter = Cutter(resident, 32, CPU)
    at_once = cutter.cut(drawn)
    monkeypatch.setattr(on_device, "CHUNK_BYTES", 1)
    assert torch.equal(cutter.cut(drawn), at_once)
