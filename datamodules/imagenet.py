"""The datamodule that feeds every network, whatever the source of the images."""

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
from datamodules.errors import DataError
from datamodules.images import as_streamed
from datamodules.manifest import compute_manifest
from datamodules.pixels import augmentation as augmentations
from datamodules.pixels.mean_image import read_mean_image
from datamodules.pixels.normalisation import Normalisation, normalisation, normalise
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

MAX_WORKERS = 16


Loader = DataLoader[Any] | ThreadedLoader | ProcessLoader | DrawingLoader


class ImageNetDataModule(LightningDataModule):
    """Training and validation batches of uint8 images, coloured, normalised and mixed once on the device.

    Batches are pairs of images (N x 3 x image_size x image_size, float32, channels last) and labels: N
    classes or, where training images are mixed, the share of every class, N x num_classes.
    Order and augmentation depend on seed and epoch alone. Under DDP every validation image is seen by
    exactly one process.

    Args:
        source: A key of ``datamodules.sources``, such as ``digits`` or ``folder``.
        root: Folder or address of the images, for a source that needs one.
        image_size: Height and width of the square images, in pixels.
        batch_size: Images a step on each device.
        classes: The first so many classes, or a list of their names or labels; all if ``None``.
        augmentation: What happens to training images; what the recipe says if ``None``, ``light`` without
            a recipe.
        num_workers: Threads or processes that read images; as many as pay if ``None``.
        seed: Of order and augmentation.
        max_unreadable: Images of either split that may be unreadable before the run stops with their names:
            a share below 1, a number from 1 on. Up to there they are left out and counted. Of one in a
            hundred neither a training nor a comparison of runs, which all lack the same ones, takes much
            harm, and a copy of which more is unreadable has a cause that should be found.
        val_resize: Short side of validation images before the center of 224 px is cut out of them, in
            proportion at other sizes; 256 is usual, torchvision's ``IMAGENET1K_V2`` weights want 232.
        mean_image: File that ``python -m datamodules mean`` has written: this image is subtracted from all,
            as AlexNet's and ResNet's papers have it, instead of the mean colour.

    Raises:
        ValueError: The source, a class or the augmentation is unknown, or a number out of its range.
        DataError: The images are not there, or not as they must be.
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
                raise ValueError(f"{name} is {value}; it must be {smallest} or more.")
        self.source = sources.get(source)
        if root is not None and not self.source.needs_root:
            raise ValueError(f"The source {source} has its own images; leave root out.")
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
                f"batch_size is {batch_size}, but there are only {self.train_images} images to train on; "
                f"choose at most that many."
            )

    @property
    def num_classes(self) -> int:
        """Classes to tell apart."""
        return len(self.images.class_names)

    @property
    def train_images(self) -> int:
        """Images to train on."""
        return len(self.images.train)

    @property
    def val_images(self) -> int:
        """Images to validate on."""
        return len(self.images.val)

    @property
    def manifest(self) -> str:
        """What tells these images from others; takes seconds for a million files that are new here."""
        return compute_manifest(self.images)

    def train_dataloader(self) -> ResumableLoader:
        """Returns shuffled, augmented batches; a last one that would not be full is left out.

        Raises:
            DataError: There are too few images, or others than those of the interrupted run.
        """
        rank, world_size = self._place()
        augmentation = augmentations.get(self.augmentation or "light")
        streamed = as_streamed(self.images.train)
        parts = streamed.parts if streamed else None
        sampler = EpochSampler(self.train_images, self.seed, rank, world_size, parts)
        if len(sampler) < self.batch_size:
            raise DataError(
                f"batch_size is {self.batch_size} on each of {world_size} devices, but there are only "
                f"{self.train_images} images to train on; choose at most {len(sampler)}."
            )
        images = TrainingImages(self.images.train, augmentation, self.image_size, self.images.can_mirror)
        # Whole batches are read at once, into memory that is used as it is.
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
        """Seconds for which training has waited for its images, in all."""
        return self._loader.waited_s if self._loader else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Returns how far into the training images the run is, and what of them could not be read."""
        place = self._loader.state_dict() if self._loader else {}
        return {**place, "unreadable": [list(image) for image in sorted(self.damage.found)]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lets the next training batches follow those of an interrupted run.

        Lightning would give the loader its state, too, but not once `configure_optimizers` has asked how
        many steps there will be: by then the loader is made, and is not looked at again.
        """
        place = dict(state_dict)
        self.damage.found.update(Unreadable(*image) for image in place.pop("unreadable", ()))
        self._place_to_resume = place

    def val_dataloader(self) -> Loader:
        """Returns every validation image once, over all processes together.

        Raises:
            DataError: There are more processes than images.
        """
        rank, world_size = self._place()
        if self.val_images < world_size:
            raise DataError(
                f"There are {self.val_images} images to validate on, fewer than the {world_size} devices; "
                f"take at most {self.val_images}."
            )
        images = self.validation_images()
        mine = BatchSampler(range(rank, self.val_images, world_size), self.batch_size, drop_last=False)
        resident = self._find_resident("val")
        if resident is not None:
            return self._draw(ValidationDraws(resident, images.choose), mine)
        return self._load(images, mine)

    def validation_images(self) -> ValidationImages:
        """Returns what reads validation images by their numbers."""
        augmentation = augmentations.get(self.augmentation or "light")
        choose = augmentations.validation_view(augmentation, self.image_size, self.val_resize)
        return ValidationImages(self.images.val, choose, self.image_size)

    def on_before_batch_transfer(
        self, batch: Batch | DrawnBatch, dataloader_idx: int
    ) -> tuple[Tensor, Tensor, Tensor] | DrawnBatch:
        """Notes what could not be read; what travels is images, or where to cut them out, labels and seeds.

        Raises:
            DataError: Too much could not be read.
        """
        self.damage.add(batch.unreadable)
        if self.trainer and self.trainer.training and not len(batch.labels):
            raise DataError(f"No image of a whole batch can be read, such as {batch.unreadable[0].name}.")
        return batch if isinstance(batch, DrawnBatch) else (batch.images, batch.labels, batch.seeds)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Copies to a GPU while it still computes the step before, in a stream of its own."""
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
                one.record_stream(computing)  # its memory belongs to the other stream
        return there

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, Tensor, Tensor] | DrawnBatch, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        """Makes images for a network on the device: bytes are what travels fastest."""
        is_training = bool(self.trainer and self.trainer.training)
        if isinstance(batch, DrawnBatch):
            images, labels, seeds = self._cut("train" if is_training else "val", batch)
        else:
            images, labels, seeds = batch
        if is_training:
            images, labels = self.finish(images, labels, seeds)
        else:
            images = self.normalise(images)
        # float32 but for the precisions that hold the whole network in another type.
        dtype = self.trainer.lightning_module.dtype if self.trainer else torch.float32
        return images.to(dtype), labels.to(dtype) if labels.is_floating_point() else labels

    def finish(self, images: Tensor, labels: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Does on the device what is left of the augmentation of uint8 images; see `Augmentation.finish`."""
        augmentation = augmentations.get(self.augmentation or "light")
        return augmentation.finish(images, labels, seeds, self.normalise, self.num_classes)

    def normalise(self, images: Tensor) -> Tensor:
        """Maps pixels of 0 to 255 to float32 of mean 0 and standard deviation 1 over the training images."""
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
        """Rank and number of the processes that share the images."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _device(self) -> torch.device:
        """Where the network is trained."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def _find_resident(self, split: str) -> Resident | None:
        """Returns the images of a split if they are to live on the device."""
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
        """Reads no pixels: processes draw where the views lie."""
        workers = self.num_workers
        if workers is None:
            workers = min(on_device.MAX_PROCESSES, self._cores())
        return DrawingLoader(dataset, drawn, workers, pin_memory=self._device().type == "cuda")

    def _load(self, dataset: TrainingImages | ValidationImages, drawn: BatchSampler) -> Loader:
        num_workers, device = self._choose_workers(), self._device().type
        if not num_workers:
            return load_in_processes(dataset, drawn, 0, pin_memory=device == "cuda")
        # One thread has Python's lock nearly for itself beside a CPU that trains; several wait for each
        # other, and a GPU's own thread for them.
        is_alone = device == "cpu" and num_workers == 1
        if self.source.threads and (is_alone or sys.platform != "linux"):
            return ThreadedLoader(dataset, drawn, num_workers)
        return ProcessLoader(dataset, drawn, self.batch_size, num_workers, pin_memory=device == "cuda")

    def _choose_workers(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        if self._device().type == "cpu":
            # One keeps ahead of a processor that trains, and more would take its time.
            return 0 if self.source.in_memory else 1
        if self._device().type == "mps" and self.source.in_memory:
            return 1  # a thread: processes there would be sent all images
        return min(MAX_WORKERS, self._cores())

    def _cores(self) -> int:
        return cores_of_each(self.trainer.num_devices if self.trainer else 1)
