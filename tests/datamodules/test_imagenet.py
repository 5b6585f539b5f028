"""Batches: their order, their pixels, and what happens to images that cannot be read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torchvision.transforms import v2

from datamodules.imagenet import ImageNetDataModule
from datamodules.pixels.augmentation import AUGMENTATIONS
from datamodules.problems import Argument, DataError, Training
from datamodules.reading.sampling import Draw, EpochSampler
from problems import Code
from tests.datamodules.conftest import CLASSES, DAMAGES, Damage
from tests.refusals import refused


def read_all(data: ImageNetDataModule, loader: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """All images, still in uint8, and labels of an epoch; notes what is unreadable, as a trainer would."""
    batches = [data.on_before_batch_transfer(batch, 0) for batch in loader]
    return torch.cat([images for images, _, _ in batches]), torch.cat([labels for _, labels, _ in batches])


def epoch_of(data: ImageNetDataModule, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return read_all(data, loader)


def test_batches_of_digits() -> None:
    data = ImageNetDataModule(image_size=32, batch_size=100)
    assert (data.num_classes, data.train_images, data.val_images) == (10, 1433, 364)
    images, labels = epoch_of(data, 0)
    assert images.shape == (1400, 3, 32, 32) and images.dtype == torch.uint8 and labels.dtype == torch.int64
    images, labels = read_all(data, data.val_dataloader())
    assert len(images) == len(labels) == 364


def test_normalised_on_the_device_to_mean_0_and_deviation_1() -> None:
    data = ImageNetDataModule(image_size=10, batch_size=1433)
    pixels = torch.stack([data.images.train.read(index) for index in range(data.train_images)])
    images, _ = data.on_after_batch_transfer((pixels, torch.zeros(0), torch.zeros(0)), 0)
    assert images.dtype == torch.float32 and images.is_contiguous(memory_format=torch.channels_last)
    assert abs(images.mean()) < 1e-4 and abs(images.std() - 1) < 1e-3


def test_normalised_like_torchvision(folder: Path) -> None:
    data = ImageNetDataModule(source="folder", root=str(folder), batch_size=2)
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    reference = v2.functional.normalize(pixels / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert torch.allclose(data.normalise(pixels), reference, atol=1e-5)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_order_and_pixels_depend_on_seed_and_epoch_alone(num_workers: int, folder: Path) -> None:
    settings: dict[str, Any] = {
        "source": "folder",
        "root": str(folder),
        "image_size": 32,
        "batch_size": 3,
        "augmentation": "googlenet",
    }
    first = epoch_of(ImageNetDataModule(**settings, num_workers=0, seed=1), epoch=2)
    data = ImageNetDataModule(**settings, num_workers=num_workers, seed=1)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    second = epoch_of(data, epoch=2)
    if num_workers == 0:
        assert torch.equal(torch.get_rng_state(), state), "augmentation must not use up the run's randomness"
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    for seed, epoch in ((1, 3), (2, 2)):
        other = epoch_of(ImageNetDataModule(**settings, num_workers=0, seed=seed), epoch)
        assert not torch.equal(first[0], other[0])


def test_two_ranks_see_what_one_sees() -> None:
    def draws(rank: int, world_size: int) -> list[Draw]:
        sampler = EpochSampler(1003, seed=5, rank=rank, world_size=world_size)
        sampler.set_epoch(4)
        assert len(list(sampler)) == len(sampler)
        return list(sampler)

    alone, first, second = draws(0, 1), draws(0, 2), draws(1, 2)
    assert len(first) == len(second) == 501
    assert [draw for pair in zip(first, second, strict=True) for draw in pair] == alone[:1002]
    assert len({draw.image for draw in alone}) == 1003


def test_more_devices_than_images_to_validate_on() -> None:
    """As many processes as there are images have one each; one more would have none."""
    data = ImageNetDataModule(source="digits", image_size=32, batch_size=3, num_workers=0, classes=2)
    count = data.val_images

    def found_by(devices: int) -> int:
        data.trainer = Trainer(accelerator="cpu", devices=devices, strategy="ddp", logger=False)
        return sum(len(batch.labels) for batch in data.val_dataloader())

    assert found_by(count) == 1 and found_by(count // 2) == 2 + count % 2
    with refused(Training.TOO_MANY_DEVICES, number=count, devices=count + 1):
        found_by(count + 1)


def left_out(data: ImageNetDataModule) -> list[tuple[str, str]]:
    return [(split, name.split(" (")[0]) for split, name in sorted(data.damage.found)]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_damaged_images_are_left_out_and_named(damage: Damage, num_workers: int, folder: Path) -> None:
    bad_train = folder / "train" / CLASSES[0] / f"{CLASSES[0]}_1.JPEG"
    bad_val = folder / "val" / CLASSES[1] / f"{CLASSES[1]}_0.JPEG"
    damage(bad_train)
    damage(bad_val)
    data = ImageNetDataModule(
        source="folder", root=str(folder), image_size=32, batch_size=4, num_workers=num_workers
    )
    images, labels = epoch_of(data, 0)
    assert len(images) == 12, "the next readable one takes its place"
    assert labels.bincount().tolist() in ([4, 4, 4], [3, 5, 4])
    assert left_out(data) == [("train", str(bad_train))]
    images, labels = read_all(data, data.val_dataloader())
    assert labels.tolist() == [0, 0, 1, 2, 2]
    assert left_out(data) == [("train", str(bad_train)), ("val", str(bad_val))]


def test_a_batch_without_a_readable_image_is_empty(folder: Path) -> None:
    for file in (folder / "val" / CLASSES[0]).iterdir():
        file.write_bytes(b"")
    data = ImageNetDataModule(
        source="folder", root=str(folder), image_size=32, batch_size=2, num_workers=0, max_unreadable=2
    )
    sizes = [
        len(labels) for _, labels, _ in (data.on_before_batch_transfer(b, 0) for b in data.val_dataloader())
    ]
    assert sizes == [0, 2, 2] and len(data.damage.found) == 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_folder_of_rubbish_stops_with_names(num_workers: int, folder: Path) -> None:
    files = sorted((folder / "train").rglob("*.JPEG"))
    for file in files:
        file.write_bytes(b"rubbish")
    data = ImageNetDataModule(source="folder", root=str(folder), batch_size=2, num_workers=num_workers)
    # An error of a worker arrives as text: as one sentence, with all that it has to name.
    with pytest.raises(DataError) as error:
        epoch_of(data, 0)
    sentence = str(error.value)
    assert "12 of 12 training images" in sentence and "max_unreadable 0.01" in sentence
    assert all(str(file) in sentence for file in files[:10]) and "\n" not in sentence


@pytest.mark.parametrize(("limit", "passes"), [(0, False), (0.1, False), (0.25, True), (2, False), (3, True)])
def test_the_limit_is_a_share_or_a_number(limit: float, passes: bool, folder: Path) -> None:
    for label in range(3):
        (folder / "train" / CLASSES[label] / f"{CLASSES[label]}_2.JPEG").write_bytes(b"")
    data = ImageNetDataModule(
        **{"source": "folder", "root": str(folder), "image_size": 32, "batch_size": 4},
        num_workers=0,
        max_unreadable=limit,
    )
    if passes:
        for epoch in range(2):
            assert len(epoch_of(data, epoch)[0]) == 12
        assert len(data.damage.found) == 3, "one that is met again counts once"
        assert len(read_all(data, data.val_dataloader())[0]) == 6
    else:
        with refused(Training.TOO_MANY_UNREADABLE, total=12):
            epoch_of(data, 0)


def test_an_interrupted_run_remembers_what_was_unreadable(folder: Path) -> None:
    (folder / "train" / CLASSES[0] / f"{CLASSES[0]}_2.JPEG").write_bytes(b"")
    settings: dict[str, Any] = {"source": "folder", "root": str(folder), "batch_size": 4, "num_workers": 0}
    data = ImageNetDataModule(**settings)
    epoch_of(data, 0)
    later = ImageNetDataModule(**settings)
    later.load_state_dict(data.state_dict())
    assert later.damage.found == data.damage.found != set()


def test_grey_cmyk_and_misnamed_images_are_trained_on(folder: Path) -> None:
    files = sorted((folder / "train" / CLASSES[2]).iterdir())
    for file, (mode, kind) in zip(files, (("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG")), strict=False):
        with Image.open(file) as image:
            converted = image.convert(mode)
        converted.save(file, kind)
    data = ImageNetDataModule(source="folder", root=str(folder), image_size=32, batch_size=12, num_workers=0)
    _, labels = epoch_of(data, 0)
    assert labels.bincount().tolist() == [4, 4, 4] and not data.damage.found


@pytest.mark.parametrize(
    ("settings", "code", "values"),
    [
        ({"batch_size": 0}, Argument.TOO_SMALL, {"name": "batch_size", "value": 0, "smallest": 1}),
        ({"image_size": -1}, Argument.TOO_SMALL, {"name": "image_size"}),
        ({"num_workers": -1}, Argument.TOO_SMALL, {"name": "num_workers"}),
        ({"val_resize": 223}, Argument.TOO_SMALL, {"name": "val_resize", "smallest": 224}),
        ({"max_unreadable": -0.1}, Argument.BAD_SHARE, {"name": "max_unreadable", "value": -0.1}),
        ({"source": "imagnet"}, Argument.NO_SOURCE, {"key": "imagnet"}),
        ({"augmentation": "dark"}, Argument.NO_AUGMENTATION, {"name": "dark"}),
    ],
)
def test_wrong_numbers_and_words(settings: dict[str, Any], code: Code, values: dict[str, Any]) -> None:
    with refused(code, **values):
        ImageNetDataModule(**settings)


def test_a_batch_larger_than_the_images() -> None:
    with refused(Training.BATCH_TOO_LARGE, batch_size=2000, number=1433):
        ImageNetDataModule(batch_size=2000)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_trains(name: str) -> None:
    data = ImageNetDataModule(image_size=32, batch_size=64, augmentation=name)
    batch = next(iter(data.train_dataloader()))
    assert batch.images.shape == (64, 3, 32, 32)


def test_batches_carry_the_seeds_of_their_images(folder: Path) -> None:
    data = ImageNetDataModule(source="folder", root=str(folder), image_size=32, batch_size=4, num_workers=0)
    batch = next(iter(data.train_dataloader()))
    assert batch.seeds.tolist() == [draw.seed for draw in EpochSampler(12, seed=0)][:4]
    assert len(set(batch.seeds.tolist())) == 4
    assert next(iter(data.val_dataloader())).seeds.tolist() == [0] * 4


@pytest.mark.parametrize(("augmentation", "mixes"), [("googlenet", False), ("heavy", True)])
def test_a_trainer_gets_augmented_images_and_whole_ones_to_validate(augmentation: str, mixes: bool) -> None:
    """What reaches the steps of a module, in training and in validation, with the trainer's own hooks."""
    seen: dict[str, list[torch.Tensor]] = {"train": [], "val": []}

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            seen["train"] += batch
            return self.weight * batch[0].mean()

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            seen["val"] += batch

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    data = ImageNetDataModule(image_size=16, batch_size=32, augmentation=augmentation, num_workers=0)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=1,
        val_check_interval=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), datamodule=data)
    batch = next(iter(data.train_dataloader()))
    images, labels = data.finish(batch.images, batch.labels, batch.seeds)
    assert torch.equal(seen["train"][0], images) and torch.equal(seen["train"][1], labels)
    assert seen["train"][1].shape == ((32, 10) if mixes else (32,))
    whole = next(iter(data.val_dataloader()))
    for images, labels in zip(seen["val"][::2], seen["val"][1::2], strict=True):
        assert torch.equal(images, data.normalise(whole.images)) and torch.equal(labels, whole.labels)
