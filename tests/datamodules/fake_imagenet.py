"""Archives in the structure of ImageNet's, of three classes and a few bytes; and what becomes of a kill -9.

`python -m tests.datamodules.fake_imagenet FOLDER` unpacks them again and again, killed one step later each
time, looks at what is there, and goes on.
"""

import gzip
import hashlib
import io
import os
import random
import signal
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from datamodules.downloads.archives import Archive
from datamodules.ilsvrc2012.devkit import GROUND_TRUTH, META
from datamodules.ilsvrc2012.labels import hash_labels, hash_wnids
from datamodules.ilsvrc2012.unpacking import Edition, prepare
from datamodules.progress import Progress

# By the devkit's number from 1 on, which is not their sorted order.
WNIDS = ("n02119789", "n01440764", "n03000684")
ANCESTORS = ("n00001740", "n00015388")
VAL_NUMBERS = (3, 1, 1, 2, 3, 2)
NUM_TRAIN = 4
FIELDS = (
    "ILSVRC2012_ID",
    "WNID",
    "words",
    "gloss",
    "num_children",
    "children",
    "wordnet_height",
    "num_train_images",
)


def content(name: str) -> bytes:
    """Bytes of an image, different for each name and of different lengths; some need several blocks."""
    return name.encode() * random.Random(name).randrange(5, 80)


def pack(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def train_names(wnid: str) -> list[str]:
    return [f"{wnid}_{number * 37}.JPEG" for number in range(NUM_TRAIN)]


def val_name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}.JPEG"


def meta() -> bytes:
    """meta.mat: the classes first, then what lies above them."""
    rows: list[tuple[Any, ...]] = [
        (number, wnid, f"name {number}, other name {number}", "a thing", 0, np.zeros(0), 0, NUM_TRAIN)
        for number, wnid in enumerate(WNIDS, 1)
    ]
    rows += [
        (4, ANCESTORS[0], "entity", "that which exists", 2, np.array([5, 3]), 2, 0),
        (5, ANCESTORS[1], "animal", "a living thing", 2, np.array([1, 2]), 1, 0),
    ]
    table = np.array(rows, dtype=[(name, object) for name in FIELDS])
    stream = io.BytesIO()
    savemat(stream, {"synsets": table.reshape(-1, 1)})
    return stream.getvalue()


def make_archives(folder: Path) -> Edition:
    """Writes the three archives and returns what describes them."""
    folder.mkdir(parents=True)
    train = {
        f"{wnid}.tar": pack({name: content(name) for name in train_names(wnid)}) for wnid in reversed(WNIDS)
    }
    val = {val_name(number): content(val_name(number)) for number in range(1, len(VAL_NUMBERS) + 1)}
    ground_truth = "".join(f"{number}\n" for number in VAL_NUMBERS).encode()
    devkit = {"ILSVRC2012_devkit_t12/readme.txt": b"", META: meta(), GROUND_TRUTH: ground_truth}
    labels = [sorted(WNIDS).index(WNIDS[number - 1]) for number in VAL_NUMBERS]
    return Edition(
        train=write(folder / "ILSVRC2012_img_train.tar", pack(train)),
        val=write(folder / "ILSVRC2012_img_val.tar", pack(val)),
        devkit=write(folder / "ILSVRC2012_devkit_t12.tar.gz", gzip.compress(pack(devkit))),
        wnids_sha256=hash_wnids(sorted(WNIDS)),
        val_labels_sha256=hash_labels(labels),
    )


def write(file: Path, data: bytes) -> Archive:
    file.write_bytes(data)
    return Archive(file.name, hashlib.md5(data).hexdigest(), len(data))


def expected_files() -> dict[str, bytes]:
    """What unpacking must give, by path."""
    files = {f"train/{wnid}/{name}": content(name) for wnid in WNIDS for name in train_names(wnid)}
    for number, class_number in enumerate(VAL_NUMBERS, 1):
        files[f"val/{WNIDS[class_number - 1]}/{val_name(number)}"] = content(val_name(number))
    return files


def found_files(root: Path) -> dict[str, bytes]:
    """The images that a source would list."""
    files = [file for split in ("train", "val") for file in root.glob(f"{split}/*/*")]
    names = {str(file.relative_to(root)): file for file in files}
    return {name: file.read_bytes() for name, file in names.items() if "/." not in name}


def prepare_in_a_child(root: Path, archives: Path, edition: Edition, kill_at: int | None) -> bool:
    """Whether it came to the end; otherwise it was killed right before its n-th change to the disk."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert status in (0, signal.SIGKILL), status
        return status == 0
    steps = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        is_write = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if is_write or event in ("os.rename", "os.mkdir"):
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    prepare(root, archives, Progress(), edition)
    os._exit(0)


def main(folder: Path) -> None:
    edition = make_archives(folder / "archives")
    wanted = expected_files()
    kill_at, is_whole = 0, False
    while not is_whole:
        kill_at += 1
        root = folder / f"root{kill_at}"
        is_whole = prepare_in_a_child(root, folder / "archives", edition, kill_at)
        for name, data in found_files(root).items():
            assert wanted[name] == data, f"{name} is not whole after a kill at {kill_at}"
        for classes in (root / "train").glob("n*"):
            assert len(list(classes.iterdir())) == NUM_TRAIN, f"{classes} is not whole"
        assert prepare_in_a_child(root, folder / "archives", edition, None)
        assert found_files(root) == wanted, f"not resumed after a kill at {kill_at}"
    sys.stdout.write(str(kill_at))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
