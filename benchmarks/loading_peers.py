"""Those whom `benchmarks.loading` compares, each as its own documentation has it.

A participant is a function of the folder, what to read there, and the number of workers. It returns what
starts an endless stream of images, float32, 64 x 3 x 224 x 224 (DALI: 64 x 224 x 224 x 3), normalised.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

SIZE, BATCH_SIZE = 224, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What each needs beyond what every user has.
MODULES = {
    "timm": "timm",
    "WebDataset": "webdataset",
    "LitData": "litdata",
    "DALI on the CPU": "nvidia.dali",
    "DALI on the CPU, raw": "nvidia.dali",
}
FROM_FILES = ["torchvision, PIL", "torchvision, v2", "timm", "WebDataset", "LitData", "DALI on the CPU"]
FROM_RAW = ["DataLoader, v2", "DALI on the CPU, raw"]

Stream = Callable[[], Iterator[Any]]


def ours(root: Path, where: str, workers: int, normalises: bool = True) -> Stream:
    """Our datamodule, and what it does once a batch is on its device; without that, batches are bytes."""
    from datamodules.imagenet import ImageNetDataModule

    source = "folder" if where == "originals" else "packed"
    folder = root / ("originals" if source == "folder" else f"pack-{where.removesuffix('-light')}")
    augmentation = "light" if where.endswith("-light") else "modern"
    data = ImageNetDataModule(
        source, str(folder), SIZE, BATCH_SIZE, augmentation=augmentation, num_workers=workers
    )
    loader = data.train_dataloader()

    def stream() -> Iterator[Any]:
        epoch = 0
        while True:
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                yield data.normalise(batch.images) if normalises else batch.images
            epoch += 1

    return stream


def pil_transform() -> Any:
    """Load as pytorch/examples does for ImageNet."""
    from torchvision import transforms

    return transforms.Compose(
        [
            transforms.RandomResizedCrop(SIZE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


def v2_transform(crop: Any) -> Any:
    """Load the same with transforms on bytes, as torchvision's documentation recommends."""
    import torch
    from torchvision.transforms import v2

    return v2.Compose(
        [
            crop,
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


def torchvision_pil(root: Path, where: str, workers: int) -> Stream:
    """ImageFolder with its default loader: the reference."""
    from torchvision.datasets import ImageFolder

    return _loader(ImageFolder(str(root / where / "train"), pil_transform()), workers)


def torchvision_v2(root: Path, where: str, workers: int) -> Stream:
    """ImageFolder with torchvision's decoder and v2."""
    from torchvision.datasets import ImageFolder
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms import v2

    transform = v2_transform(v2.RandomResizedCrop(SIZE, antialias=True))

    def load(path: str) -> Any:
        return decode_image(path, mode=ImageReadMode.RGB)

    return _loader(ImageFolder(str(root / where / "train"), transform, loader=load), workers)


def timm_loader(root: Path, where: str, workers: int) -> Stream:
    """Timm's dataset and loader, without colour changes; its prefetcher needs a GPU."""
    from timm.data import create_dataset, create_loader

    dataset = create_dataset("", root=str(root / where / "train"), is_training=True)
    loader = create_loader(
        dataset,
        input_size=(3, SIZE, SIZE),
        batch_size=BATCH_SIZE,
        is_training=True,
        use_prefetcher=False,
        color_jitter=0.0,
        interpolation="bilinear",
        mean=MEAN,
        std=STD,
        num_workers=workers,
        persistent_workers=True,
        pin_memory=False,
    )
    return _endless(loader)


def webdataset(root: Path, where: str, workers: int) -> Stream:
    """Tar files of 100 images, shuffled by shard and in a buffer, decoded by PIL."""
    import webdataset as wds

    shards = [str(file) for file in sorted((root / "tars" / where).glob("*.tar"))]
    dataset = (
        wds.WebDataset(shards, shardshuffle=100, nodesplitter=wds.split_by_node)
        .shuffle(500)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(lambda image: pil_transform()(image.convert("RGB")), lambda label: label)
        .batched(BATCH_SIZE, partial=False)
        .repeat()
    )
    return lambda: (images for images, _ in wds.WebLoader(dataset, batch_size=None, num_workers=workers))


def litdata(root: Path, where: str, workers: int) -> Stream:
    """Chunks of JPEGs, decoded by PIL."""
    from litdata import StreamingDataLoader, StreamingDataset
    from PIL import Image

    transform = pil_transform()

    class Photographs(StreamingDataset):
        def __getitem__(self, index: Any) -> Any:
            sample = super().__getitem__(index)
            image = Image.open(io.BytesIO(sample["image"])).convert("RGB")
            return transform(image), sample["label"]

    dataset = Photographs(str(root / "chunks" / where), shuffle=True, drop_last=True)
    return _endless(
        StreamingDataLoader(dataset, batch_size=BATCH_SIZE, num_workers=workers, persistent_workers=True)
    )


def dali(root: Path, where: str, workers: int) -> Stream:
    """Decode only what is cropped; threads instead of processes."""
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=BATCH_SIZE, num_threads=workers, device_id=None, prefetch_queue_depth=2)
    def pipeline() -> Any:
        encoded, labels = fn.readers.file(file_root=str(root / where / "train"), random_shuffle=True)
        images = fn.decoders.image_random_crop(
            encoded, random_area=[0.08, 1.0], random_aspect_ratio=[3 / 4, 4 / 3]
        )
        images = fn.resize(images, size=[SIZE, SIZE], interp_type=types.INTERP_LINEAR, antialias=True)
        return _dali_finish(images), labels

    return _run_dali(pipeline)


def dali_raw(root: Path, where: str, workers: int) -> Stream:
    """Plain pixels handed to DALI, which crops, resizes and normalises them."""
    from nvidia.dali import fn, pipeline_def, types

    images = np.load(root / "pack-raw" / "train" / "images.npy", mmap_mode="r")
    order = np.random.default_rng()

    def draw() -> Iterator[Any]:
        while True:
            numbers = order.permutation(len(images))
            for start in range(0, len(numbers) - BATCH_SIZE + 1, BATCH_SIZE):
                yield [images[number] for number in numbers[start : start + BATCH_SIZE]]

    @pipeline_def(batch_size=BATCH_SIZE, num_threads=workers, device_id=None, prefetch_queue_depth=2)
    def pipeline() -> Any:
        drawn = fn.external_source(source=draw(), layout="HWC")
        if where.endswith("-light"):
            x, y = fn.random.uniform(range=[0, 1]), fn.random.uniform(range=[0, 1])
            return (_dali_finish(drawn, crop=(SIZE, SIZE), crop_pos_x=x, crop_pos_y=y),)
        views = fn.random_resized_crop(
            drawn,
            size=[SIZE, SIZE],
            random_area=[0.08, 1.0],
            random_aspect_ratio=[3 / 4, 4 / 3],
            interp_type=types.INTERP_LINEAR,
            antialias=True,
        )
        return (_dali_finish(views),)

    return _run_dali(pipeline)


def raw_v2(root: Path, where: str, workers: int) -> Stream:
    """PyTorch's own loader over the mapped array, with v2."""
    import torch
    from torchvision.transforms import v2

    is_light = where.endswith("-light")
    crop = v2.RandomCrop(SIZE) if is_light else v2.RandomResizedCrop(SIZE, antialias=True)
    transform = v2_transform(crop)
    images = np.load(root / "pack-raw" / "train" / "images.npy", mmap_mode="c")

    class Pixels(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> Any:
            return transform(torch.from_numpy(np.asarray(images[index])).permute(2, 0, 1)), 0

    return _loader(Pixels(), workers)


def unpack(pack: Path, folder: Path) -> None:
    """Write the JPEGs of a pack as files, for those who read files."""
    images, records = np.load(pack / "images.npy", mmap_mode="r"), np.load(pack / "records.npy")
    starts = np.concatenate([[0], records["end"][:-1]])
    for number, (start, record) in enumerate(zip(starts, records, strict=True)):
        file = folder / f"class{record['label']}" / f"{number:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(images[start : record["end"]].tobytes())


def write_tars(root: Path, where: str) -> None:
    """Write WebDataset's shards."""
    (root / "tars" / where).mkdir(parents=True)
    files = sorted((root / where / "train").rglob("*.*"))
    np.random.default_rng(0).shuffle(files)
    for start in range(0, len(files), 100):
        with tarfile.open(root / "tars" / where / f"{start:06}.tar", "w") as tar:
            for number, file in enumerate(files[start : start + 100], start):
                label = file.parent.name.removeprefix("class").encode()
                for name, content in ((f"{number:06}.jpg", file.read_bytes()), (f"{number:06}.cls", label)):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


def _to_sample(file: str) -> dict[str, Any]:
    path = Path(file)
    return {"image": path.read_bytes(), "label": int(path.parent.name.removeprefix("class"))}


def write_chunks(root: Path, where: str) -> None:
    """Write LitData's chunks."""
    from litdata import optimize

    files = [str(file) for file in sorted((root / where / "train").rglob("*.*"))]
    target = str(root / "chunks" / where)
    optimize(fn=_to_sample, inputs=files, output_dir=target, chunk_bytes="64MB", num_workers=1)


def _dali_finish(images: Any, **crop: Any) -> Any:
    from nvidia.dali import fn, types

    mean, std = [255 * value for value in MEAN], [255 * value for value in STD]
    return fn.crop_mirror_normalize(
        images,
        mirror=fn.random.coin_flip(),
        mean=mean,
        std=std,
        dtype=types.FLOAT,
        output_layout="HWC",
        **crop,
    )


def _run_dali(pipeline: Any) -> Stream:
    running = pipeline()
    running.build()

    def stream() -> Iterator[Any]:
        while True:
            yield running.run()[0].as_tensor()

    return stream


def _loader(dataset: Any, workers: int) -> Stream:
    from torch.utils.data import DataLoader

    return _endless(
        DataLoader(
            dataset,
            BATCH_SIZE,
            shuffle=True,
            num_workers=workers,
            drop_last=True,
            persistent_workers=True,
        )
    )


def _endless(loader: Any) -> Stream:
    def stream() -> Iterator[Any]:
        while True:
            for images, _ in loader:
                yield images

    return stream


PREPARE = {"WebDataset": write_tars, "LitData": write_chunks}
PARTICIPANTS: dict[str, Callable[[Path, str, int], Stream]] = {
    "ours": ours,
    "ours, bytes": partial(ours, normalises=False),
    "torchvision, PIL": torchvision_pil,
    "torchvision, v2": torchvision_v2,
    "timm": timm_loader,
    "WebDataset": webdataset,
    "LitData": litdata,
    "DALI on the CPU": dali,
    "DataLoader, v2": raw_v2,
    "DALI on the CPU, raw": dali_raw,
}
