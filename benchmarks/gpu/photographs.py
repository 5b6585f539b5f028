"""Parts 6 and 13: do batches arrive whole, and does the GPU wait for them?"""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import Trainer
from torch import Tensor

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.children import value_of
from benchmarks.gpu.probes import WARM_UP
from benchmarks.gpu.results import Row
from benchmarks.loading import find_photographs, link, pack
from datamodules.imagenet import ImageNetDataModule
from datamodules.packs.format import Form

PHOTOGRAPH = (500, 375)
NUM_PHOTOGRAPHS = 100
# Batches of a training whose waiting is measured, and so many images an epoch.
NUM_IMAGES = 16_000


def races(bench: Bench) -> Iterator[Row]:
    """Part 6: batches read by many processes into memory that is used again, against those of no process."""
    workers, batches = (2, 12) if bench.is_small else (16, 300)
    folder = make_photographs(bench.folder / "races", 60, (96, 80))
    size = 64
    alone, many = (
        value_of(lambda number=number: checksums(folder, size, number, batches, bench.device), bench.log)  # type: ignore[misc]
        for number in (0, workers)
    )
    wrong = sum(one != other for one, other in zip(alone, many, strict=True))
    what = f"{batches} batches from {workers} processes, the GPU busy before each copy"
    yield Row(what, f"{wrong} differ", "0 differ", not wrong)


def checksums(folder: Path, size: int, workers: int, count: int, device: str) -> list[int]:
    """Return a checksum of each batch as it is on the device, where it arrives late."""
    data = ImageNetDataModule("folder", str(folder), size, 16, augmentation="modern", num_workers=workers)
    place = torch.device(device)
    found: list[Tensor] = []
    data.trainer = Trainer(accelerator=device, devices=1, logger=False, enable_checkpointing=False)
    loader, epoch = data.train_dataloader(), 0
    while len(found) < count:
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            if data._copies is not None:
                with torch.cuda.stream(data._copies):
                    torch.cuda._sleep(2_000_000)  # type: ignore[no-untyped-call]  # a millisecond
            images, labels, *_ = data.transfer_batch_to_device((batch.images, batch.labels), place, 0)
            weights = torch.arange(1, images.numel() + 1, device=place) % 9973
            found.append((images.permute(0, 2, 3, 1).flatten().long() * weights).sum() + labels.sum())
            del batch, images
            if len(found) == count:
                break
        epoch += 1
    return [int(one) for one in found]


def waiting(bench: Bench) -> Iterator[Row]:
    """Part 13: training from photographs, as they are and packed."""
    files = [file for file in find_photographs(bench.data) if file.suffix.lower() in (".jpeg", ".jpg")]
    text = f"{len(files)} that were brought along" if files else "made of noise, 110 KB each"
    if not files:
        made = make_photographs(bench.folder / "photographs", NUM_PHOTOGRAPHS, PHOTOGRAPH)
        files = find_photographs([made / "train"])
    yield Row("photographs", text)
    root = bench.folder / "waiting"
    link(files, root / "originals", 640 if bench.is_small else NUM_IMAGES)
    sources = {"original JPEGs": ("folder", root / "originals")}
    forms: tuple[Form, ...] = ("raw",) if bench.is_small else ("jpeg", "raw")
    for form in forms:
        began_s = time.perf_counter()
        pack(root / "originals", root / form, form)
        yield Row(f"packed as {form}", f"{time.perf_counter() - began_s:.0f} s")
        sources[f"packed as {form}"] = ("packed", root / form)
    networks = ("cifar_resnet20",) if bench.is_small else ("alexnet", "resnet50")
    for network in networks:
        for title, (source, folder) in sources.items():
            size, batch, steps = (32, 16, WARM_UP + 5) if bench.is_small else (224, 256, WARM_UP + 60)
            fit = bench.fit(
                *("--model.architecture", network, "--data.source", source, "--data.root", str(folder)),
                *(
                    "--data.image_size",
                    str(size),
                    "--data.batch_size",
                    str(batch),
                    "--trainer.max_steps",
                    str(steps),
                ),
                *("--trainer.limit_val_batches", "0", "--trainer.log_every_n_steps", "10"),
                probes=["Pace"],
            )
            speed, share = (fit.found.get(key, float("nan")) for key in ("images_per_s", "waited"))
            share *= 100
            is_pack = source == "packed"
            yield Row(
                f"{network} from {title}",
                f"{speed:,.0f} images/s, waits {share:.1f} % of the time"
                if fit.run.status == "FINISHED"
                else fit.summary,
                "waits below 3 %" if is_pack else "",
                share < 3 if is_pack else None,
            )


def make_photographs(root: Path, count: int, size: tuple[int, int]) -> Path:
    """Make a folder of JPEGs in two classes, of noise that takes as much room as photographs do."""
    width, height = size
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(count):
            coarse = random.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
            fine = random.integers(0, 60, (height, width, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((width, height))
            stream = io.BytesIO()
            Image.fromarray(np.asarray(image) // 2 + fine).save(stream, "JPEG", quality=88)
            file = root / split / f"class{number % 2}" / f"{number:04}.JPEG"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(stream.getvalue())
    return root
