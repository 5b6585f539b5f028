"""The datamodule of every network, for any source of images."""

import sys
from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader

from datamodules import sources
from datamodules.cores import cores_of_each
from datamodules.damage import Damage, Unreadable
from datamodules.images import as_streamed
from datamodules.manifest import compute_manifest
from datamodules.pixels import augmentation as augmentations
from datamodules.pixels.mean_image import read_mean_image
from datamodules.pixels.normalisation import Normalisation, normalisation, normalise
from datamodules.problems import Argument, DataError, Training
from datamodules.reading import on_device
from datamodules.reading.dataset import Batch, TrainingImages, ValidationImages
from datamodules.reading.on_device import (
    Cutter,
    DrawingLoader,
    DrawnBatch,
    Resident,
    TrainingDraws,
    ValidationDraws,
)
from datamodules.reading.process_loader import ProcessLoader, load_in_processes
from datamodules.reading.resumable import ResumableLoader
from datamodules.reading.sampling import EpochSampler
from datamodules.reading.thread_loader import ThreadedLoader
from datamodules.subset import choose_classes
from problems import InvalidValue

MAX_WORKERS = 16

Loader = DataLoader[Any] | ThreadedLoader | ProcessLoader | DrawingLoader


class ImageNetDataModule(LightningDataModule):
    """Training and validation batches; colour changes, normalisation and mixing are done on the device.

    Batches are pairs of images (float32, N x 3 x image_size x image_size, channels last) and labels (N class
    indices or, for mixed training images, N x num_classes class probabilities).
    Order and augmentation depend only on seed and epoch. Under DDP exactly one process sees each validation
    image.

    Args:
        source: A key of ``datamodules.sources``, such as ``digits`` or ``folder``.
        root: Folder or address of the images, for a source that needs one.
        image_size: Height and width of the square images, in pixels.
        batch_size: Number of images per step and device.
        classes: The number of classes to take from the beginning, or a list of class names or labels; all
            if ``None``.
        augmentation: Name of the augmentation of training images; the recipe's if ``None``, or ``light``
            without a recipe.
        num_workers: Number of threads or processes that read images; chosen automatically if ``None``.
        seed: Seed of order and augmentation.
        max_unreadable: The limit on unreadable images in either split: a share of them if below 1, otherwise
            a number. Up to the limit they are left out and counted, beyond it the run stops and names them.
            Missing one image in a hundred barely affects a run, or a comparison of runs that all lack the
            same images; if more are unreadable, the cause should be found.
        val_resize: Short side of validation images before their center of 224 px is cropped, scaled in
            proportion for other image sizes; 256 is usual, torchvision's ``IMAGENET1K_V2`` weights use 232.
        mean_image: File written by ``python -m datamodules mean``: this image is subtracted instead of the
            mean colour, as in the papers on AlexNet and ResNet.

    Raises:
        InvalidValue: The source, a class or the augmentation is unknown, or a number is out of its range.
        DataError: The images are missing or not as they should be.
    """

    def __init__(
        self,
        source: str = "digits",
        root: str | None = None,
        image_size: int = 64,
        batch_size: int = 32,
        classes: int | list[int | str] | None = None,
        augmentation: str | None = None,
        num_workers: int | None = None,
        seed: int = 0,
        max_unreadable: float = 0.01,
        val_resize: int = 256,
        mean_image: str | None = None,
    ) -> None:
        super().__init__()
        for name, value, smallest in (
            ("image_size", image_size, 1),
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers or 0, 0),
            ("val_resize", val_resize, 224),
        ):
            if value < smallest:
                raise InvalidValue(Argument.TOO_SMALL, name=name, value=value, smallest=smallest)
        self.source = sources.get(source)
        if augmentation is not None:
            augmentations.get(augmentation)
        self.image_size, self.batch_size, self.seed = image_size, batch_size, seed
        self.augmentation = augmentation
        self.num_workers, self.val_resize = num_workers, val_resize
        self.mean_image: Tensor | None = None
        if mean_image is not None:
            self.mean_image = read_mean_image(Path(mean_image).expanduser(), image_size)
        self.images = choose_classes(self.source.images(root), classes)
        self.damage = Damage(max_unreadable, {"train": self.train_images, "val": self.val_images})
        self._normalisations: dict[torch.device, Normalisation] = {}
        self._cutters: dict[str, Cutter] = {}
        self._copies: torch.cuda.Stream | None = None
        self._loader: ResumableLoader | None = None
        self._place_to_resume: dict[str, Any] = {}
        if batch_size > self.train_images:
            raise DataError(
                Training.BATCH_TOO_LARGE,
                batch_size=batch_size,
                number=self.train_images,
                most=self.train_images,
            )

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.images.class_names)

    @property
    def train_images(self) -> int:
        """Number of training images."""
        return len(self.images.train)

    @property
    def val_images(self) -> int:
        """Number of validation images."""
        return len(self.images.val)

    @property
    def manifest(self) -> str:
        """Digest of the images; takes seconds for a million files that were never read on this machine."""
        return compute_manifest(self.images)

    def train_dataloader(self) -> ResumableLoader:
        """Return shuffled, augmented batches; the last one is dropped if it is incomplete.

        Raises:
            DataError: There are too few images, or not those of the interrupted run.
        """
        rank, world_size = self._place()
        augmentation = augmentations.get(self.augmentation or "light")
        streamed = as_streamed(self.images.train)
        parts = streamed.parts if streamed else None
        sampler = EpochSampler(self.train_images, self.seed, rank, world_size, parts)
        if len(sampler) < self.batch_size:
            raise DataError(
                Training.BATCHES_TOO_LARGE,
                batch_size=self.batch_size,
                devices=world_size,
                number=self.train_images,
                most=len(sampler),
            )
        images = TrainingImages(self.images.train, augmentation, self.image_size, self.images.can_mirror)
        # Each index is a whole batch, which is read into memory without a copy.
        drawn = BatchSampler(cast(Any, sampler), self.batch_size, drop_last=True)
        resident = None if augmentation.policy else self._find_resident("train")
        if resident is None:
            batches = self._load(images, drawn)
        else:
            batches = self._draw(TrainingDraws(resident, images.views), drawn)
        self._loader = ResumableLoader(batches, sampler, self.batch_size)
        if self._place_to_resume:
            self._loader.load_state_dict(self._place_to_resume)
        return self._loader

    @property
    def waited_s(self) -> float:
        """Total time that training has waited for its images, in seconds."""
        return self._loader.waited_s if self._loader else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the training images, and those that could not be read."""
        place = self._loader.state_dict() if self._loader else {}
        return {**place, "unreadable": [list(image) for image in sorted(self.damage.found)]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the last training batch of an interrupted run.

        Lightning would also restore the loader's state, but not after `configure_optimizers` has asked for
        the number of steps: by then it has already created the loader.
        """
        place = dict(state_dict)
        self.damage.found.update(Unreadable(*image) for image in place.pop("unreadable", ()))
        self._place_to_resume = place

    def val_dataloader(self) -> Loader:
        """Return batches of the validation images; each image is in the batches of exactly one process.

        Raises:
            DataError: There are more processes than images.
        """
        rank, world_size = self._place()
        if self.val_images < world_size:
            raise DataError(Training.TOO_MANY_DEVICES, number=self.val_images, devices=world_size)
        images = self.validation_images()
        mine = BatchSampler(range(rank, self.val_images, world_size), self.batch_size, drop_last=False)
        resident = self._find_resident("val")
        if resident is not None:
            return self._draw(ValidationDraws(resident, images.choose), mine)
        return self._load(images, mine)

    def validation_images(self) -> ValidationImages:
        """Return a dataset of validation images."""
        augmentation = augmentations.get(self.augmentation or "light")
        choose = augmentations.validation_view(augmentation, self.image_size, self.val_resize)
        return ValidationImages(self.images.val, choose, self.image_size)

    def on_before_batch_transfer(
        self, batch: Batch | DrawnBatch, dataloader_idx: int
    ) -> tuple[Tensor, Tensor, Tensor] | DrawnBatch:
        """Count unreadable images; return the tensors to transfer: images or draws, labels and seeds.

        Raises:
            DataError: Too many images could not be read.
        """
        self.damage.add(batch.unreadable)
        if self.trainer and self.trainer.training and not len(batch.labels):
            raise DataError(Training.NOTHING_READABLE, name=batch.unreadable[0].name)
        return batch if isinstance(batch, DrawnBatch) else (batch.images, batch.labels, batch.seeds)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Copy to a GPU in a separate stream, while the GPU still computes the previous step."""
        if device.type != "cuda":
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        if self._copies is None:
            self._copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._copies):
            there = super().transfer_batch_to_device(batch, device, dataloader_idx)
        computing = torch.cuda.current_stream(device)
        computing.wait_stream(self._copies)
        for one in there:
            if isinstance(one, Tensor):
                one.record_stream(computing)  # its memory was allocated in the other stream
        return there

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, Tensor, Tensor] | DrawnBatch, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        """Convert a batch on the device into the network's input: uint8 images are fastest to transfer."""
        is_training = bool(self.trainer and self.trainer.training)
        if isinstance(batch, DrawnBatch):
            images, labels, seeds = self._cut("train" if is_training else "val", batch)
        else:
            images, labels, seeds = batch
        if is_training:
            images, labels = self.finish(images, labels, seeds)
        else:
            images = self.normalise(images)
        # float32, except for precisions that keep the whole network in another type.
        dtype = self.trainer.lightning_module.dtype if self.trainer else torch.float32
        return images.to(dtype), labels.to(dtype) if labels.is_floating_point() else labels

    def finish(self, images: Tensor, labels: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the part of the augmentation that runs on the device; see `Augmentation.finish`."""
        augmentation = augmentations.get(self.augmentation or "light")
        return augmentation.finish(images, labels, seeds, self.normalise, self.num_classes)

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise pixels from 0 to 255 by the mean and standard deviation of the training images."""
        by = self._normalisations.get(images.device)
        if by is None:
            mean, std = (
                torch.tensor(values).mul_(255)[:, None, None]
                for values in (self.images.mean, self.images.std)
            )
            by = normalisation(mean if self.mean_image is None else self.mean_image, std, images.device)
            self._normalisations[images.device] = by
        return normalise(images, by)

    def _place(self) -> tuple[int, int]:
        """Return rank and world size."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _device(self) -> torch.device:
        """Return the device of the network."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def _find_resident(self, split: str) -> Resident | None:
        """Return the images of a split if they should be kept on the device."""
        if self._device().type not in on_device.DEVICES:
            return None
        return on_device.find_resident(getattr(self.images, split))

    def _cut(self, split: str, batch: DrawnBatch) -> tuple[Tensor, Tensor, Tensor]:
        if split not in self._cutters:
            images = on_device.find_resident(getattr(self.images, split))
            assert images is not None
            self._cutters[split] = Cutter(images, self.image_size, batch.labels.device)
        return self._cutters[split].cut(batch), batch.labels, batch.seeds

    def _draw(self, dataset: TrainingDraws | ValidationDraws, drawn: BatchSampler) -> DrawingLoader:
        """Return batches of crop positions; no pixels are read."""
        workers = self.num_workers
        if workers is None:
            workers = min(on_device.MAX_PROCESSES, self._cores())
        return DrawingLoader(dataset, drawn, workers, pin_memory=self._device().type == "cuda")

    def _load(self, dataset: TrainingImages | ValidationImages, drawn: BatchSampler) -> Loader:
        num_workers, device = self._choose_workers(), self._device().type
        if not num_workers:
            return load_in_processes(dataset, drawn, 0, pin_memory=device == "cuda")
        # A single thread rarely waits for Python's GIL while a CPU trains; several would wait for each other,
        # and the thread that drives a GPU for them.
        is_alone = device == "cpu" and num_workers == 1
        if self.source.threads and (is_alone or sys.platform != "linux"):
            return ThreadedLoader(dataset, drawn, num_workers)
        return ProcessLoader(dataset, drawn, self.batch_size, num_workers, pin_memory=device == "cuda")

    def _choose_workers(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        if self._device().type == "cpu":
            # One is fast enough for a CPU that trains, and more would slow it down.
            return 0 if self.source.in_memory else 1
        if self._device().type == "mps" and self.source.in_memory:
            return 1  # a thread: all images would be copied to processes
        return min(MAX_WORKERS, self._cores())

    def _cores(self) -> int:
        return cores_of_each(self.trainer.num_devices if self.trainer else 1)
