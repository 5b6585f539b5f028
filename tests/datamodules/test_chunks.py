"""LitData's format, held against LitData itself, and against what strangers might put into it."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import litdata
import numpy as np
import pytest
import torch
from litdata.streaming.writer import BinaryWriter
from PIL import Image

from datamodules import sources
from datamodules.images import Images
from datamodules.problems import Defect, LitData, UnreadableImage
from datamodules.streams.chunks import parse_index, write_chunk, write_index
from problems import Code
from tests.datamodules.conftest import picture
from tests.refusals import refused

CLASSES = ["red", "green", "blue"]


def jpeg(number: int) -> bytes:
    stream = io.BytesIO()
    picture(number, number).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def decode(number: int) -> torch.Tensor:
    with Image.open(io.BytesIO(jpeg(number))) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def write_with_litdata(folder: Path, sample: Callable[[int], Any], count: int = 7) -> Path:
    """A data set of three classes as LitData writes it, three samples a chunk, both splits the same."""
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        writer = BinaryWriter(str(folder / split), chunk_size=3)
        for number in range(count):
            writer[number] = sample(number)
        writer.done()
        writer.merge(1)
    (folder / "info.json").write_text(json.dumps({"classes": CLASSES}))
    return folder


def write_ourselves(folder: Path, count: int = 7, labels: bool = True) -> Path:
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        rows = []
        for start in range(0, count, 3):
            numbers = range(start, min(start + 3, count))
            name = f"chunk-0-{start // 3}.bin"
            with (folder / split / name).open("wb") as stream:
                samples = ((jpeg(number), number % 3, f"{number}.JPEG") for number in numbers)
                size = write_chunk(stream, samples, len(numbers))
            rows.append((name, size, len(numbers)))
        (folder / split / "index.json").write_bytes(write_index(rows))
        if labels:
            np.save(folder / split / "labels.npy", np.arange(count, dtype=np.int32) % 3)
    (folder / "info.json").write_text(json.dumps({"classes": CLASSES}))
    return folder


def open_images(folder: Path) -> Images:
    return sources.get("litdata").images(str(folder))


def raw_sample(number: int) -> dict[str, Any]:
    return {"image": picture(number, number), "class": number % 3}


SAMPLES: dict[str, Callable[[int], Any]] = {
    "JPEG in a dictionary": lambda number: {"image": litdata.Jpeg(bytes=jpeg(number)), "label": number % 3},
    "a tuple": lambda number: (litdata.Jpeg(bytes=jpeg(number)), number % 3),
    "label first": lambda number: {"class": number % 3, "x": litdata.Image(bytes=jpeg(number)), "width": 48},
    "bytes": lambda number: (jpeg(number), number % 3),
    "raw pixels": raw_sample,
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_what_litdata_wrote_is_read(tmp_path: Path, sample: Callable[[int], Any]) -> None:
    images = open_images(write_with_litdata(tmp_path / "set", sample))
    assert len(images.train) == 7 and images.class_names == ("red", "green", "blue")
    for number in range(7):
        whole = torch.from_numpy(np.array(picture(number, number))).permute(2, 0, 1)
        assert torch.equal(images.train.read(number), whole if sample is raw_sample else decode(number))
        assert images.train.label(number) == number % 3


def test_bytes_that_litdata_puts_into_tables_are_refused(tmp_path: Path) -> None:
    folder = write_with_litdata(tmp_path / "set", lambda number: {"image": jpeg(number), "label": 0})
    with refused(LitData.ARROW):
        open_images(folder)


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities of TorchVision")
@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # LitData decodes so
def test_what_we_write_is_read_by_litdata(tmp_path: Path) -> None:
    folder = write_ourselves(tmp_path / "set")
    theirs = litdata.StreamingDataset(str(folder / "train"))
    assert len(theirs) == 7
    for number in range(7):
        sample = theirs[number]
        assert (sample["image"].int() - decode(number).int()).abs().max() <= 3  # two decoders
        assert sample["label"] == number % 3 and sample["name"] == f"{number}.JPEG"


@pytest.mark.parametrize("labels", [True, False])
def test_our_own_is_read_with_and_without_its_list_of_labels(tmp_path: Path, labels: bool) -> None:
    images = open_images(write_ourselves(tmp_path / "set", labels=labels))
    assert [images.val.label(number) for number in range(7)] == [0, 1, 2, 0, 1, 2, 0]


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.file, "w")


def test_pickled_samples_are_refused_and_never_run(tmp_path: Path) -> None:
    trap = Trap(str(tmp_path / "sprung"))
    folder = write_with_litdata(
        tmp_path / "set", lambda number: {"image": jpeg(number), "label": 0, "x": trap}
    )
    with refused(LitData.PICKLED, where=f"{folder}/train/index.json"):
        open_images(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_pickled_list_of_labels_is_refused_and_never_run(tmp_path: Path) -> None:
    folder = write_ourselves(tmp_path / "set")
    trap = np.array([Trap(str(tmp_path / "sprung"))], dtype=object)
    np.save(folder / "train" / "labels.npy", trap, allow_pickle=True)
    with refused(LitData.NO_LABELS, where=f"{folder}/train/labels.npy"):
        open_images(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_list_of_labels_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    folder = write_ourselves(tmp_path / "set")
    with (folder / "train" / "labels.npy").open("wb") as stream:
        header = {"descr": "<i4", "fortran_order": False, "shape": (10**13,)}
        np.lib.format.write_array_header_1_0(stream, header)
    with refused(LitData.NO_LABELS, where=f"{folder}/train/labels.npy"):
        open_images(folder)


def index_with(**config: Any) -> bytes:
    listing = json.loads(write_index([("chunk-0-0.bin", 1000, 3)]))
    listing["config"].update(config)
    return json.dumps(listing).encode()


def index_of(**chunk: Any) -> bytes:
    listing = json.loads(write_index([("chunk-0-0.bin", 1000, 3)]))
    listing["chunks"][0].update(chunk)
    return json.dumps(listing).encode()


REFUSED: dict[str, tuple[bytes, Code, dict[str, Any]]] = {
    "no JSON": (b"<html>", LitData.NO_INDEX, {}),
    "another JSON": (b"[1, 2]", LitData.NO_INDEX, {}),
    "deep JSON": (b"[" * 100_000, LitData.NO_INDEX, {}),
    "compressed": (index_with(compression="zstd"), LitData.ENCODED, {"feature": "compression"}),
    "encrypted": (index_with(encryption={"algorithm": "fernet"}), LitData.ENCODED, {"feature": "encryption"}),
    "tokens": (index_with(item_loader="TokensLoader"), LitData.OTHER_LOADER, {"loader": "TokensLoader"}),
    "a graph": (index_with(data_format=["graph:pickle", "int", "str"]), LitData.PICKLED, {}),
    "no image": (
        index_with(data_format=["float", "int", "str"]),
        LitData.OTHER_SAMPLES,
        {"kinds": "float, int, str"},
    ),
    "no label": (
        index_with(data_format=["jpeg", "float", "str"]),
        LitData.OTHER_SAMPLES,
        {"kinds": "jpeg, float, str"},
    ),
    "another folder": (index_of(filename="../../secret"), LitData.BAD_CHUNK_NAME, {"name": "../../secret"}),
    "an absolute path": (index_of(filename="/dev/zero"), LitData.BAD_CHUNK_NAME, {"name": "/dev/zero"}),
    "an empty chunk": (index_of(chunk_size=0), LitData.NO_CHUNKS, {}),
    "a million million samples": (index_of(chunk_size=10**12), LitData.TOO_MANY_SAMPLES, {}),
    "more than a number holds": (index_of(chunk_size=10**30), LitData.NO_INDEX, {}),
    "endlessly many": (index_of(chunk_size=2**40, chunk_bytes=2**60), LitData.TOO_MANY_SAMPLES, {}),
    "no chunks": (json.dumps({**json.loads(index_with()), "chunks": []}).encode(), LitData.NO_CHUNKS, {}),
}


@pytest.mark.parametrize(("content", "code", "values"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_index_is_refused(content: bytes, code: Code, values: dict[str, Any]) -> None:
    with refused(code, where="here/index.json", **values):
        parse_index(content, "here/index.json")


def overwrite(offset: int, content: bytes) -> Callable[[Path], None]:
    def damage(chunk: Path) -> None:
        with chunk.open("r+b") as stream:
            stream.seek(offset)
            stream.write(content)

    return damage


ODD_CHUNKS: dict[str, Callable[[Path], None]] = {
    "cut off": lambda chunk: os.truncate(chunk, 200),
    "empty": lambda chunk: os.truncate(chunk, 0),
    "begins after its end": overwrite(4, b"\xff\xff\xff\xff"),
    "four gigabytes": overwrite(8, b"\xff\xff\xff\xff"),
    "sizes that do not add up": overwrite(20, b"\xff\xff\xff\x7f"),
}


@pytest.mark.parametrize("damage", ODD_CHUNKS.values(), ids=ODD_CHUNKS)
def test_a_damaged_chunk_costs_its_images_and_no_more(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = write_ourselves(tmp_path / "set")
    damage(folder / "train" / "chunk-0-0.bin")
    images = open_images(folder)
    with pytest.raises(UnreadableImage) as error:
        images.train.read(0)
    assert error.value.values["name"] == f"{folder}/train/chunk-0-0.bin, image 0"
    assert images.train.read(3).shape == (3, 40, 48)


def test_an_image_that_is_none_is_called_by_its_name(tmp_path: Path) -> None:
    folder = write_ourselves(tmp_path / "set")
    chunk = folder / "train" / "chunk-0-1.bin"
    content = chunk.read_bytes()
    chunk.write_bytes(content.replace(jpeg(4), b"x" * len(jpeg(4))))
    with refused(Defect.NOT_AN_IMAGE, name=f"4.JPEG in {chunk}, image 1"):
        open_images(folder).train.read(4)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def put(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


INCOMPLETE: dict[str, tuple[Callable[[Path], object], Code, dict[str, Any]]] = {
    "no info": (without("info.json"), LitData.NOT_CONVERTED, {"name": "info.json"}),
    "no index": (without("val/index.json"), LitData.NOT_CONVERTED, {"name": "index.json"}),
    "info without classes": (put("info.json", "{}"), LitData.NO_CLASS_NAMES, {}),
    "info that is none": (put("info.json", "[]"), LitData.NO_CLASS_NAMES, {}),
    "one class": (put("info.json", '{"classes": ["cat"]}'), LitData.BAD_INFO, {}),
    "too few classes": (
        put("info.json", '{"classes": ["a", "b"]}'),
        LitData.LABELS_OUT_OF_RANGE,
        {"smallest": 0, "largest": 2, "number": 2},
    ),
    "labels of others": (
        lambda folder: np.save(folder / "train" / "labels.npy", np.zeros(3, int)),
        LitData.WRONG_LABELS,
        {"number": 7},
    ),
}


@pytest.mark.parametrize(("damage", "code", "values"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_what_is_missing_is_reported(
    tmp_path: Path, damage: Callable[[Path], object], code: Code, values: dict[str, Any]
) -> None:
    folder = write_ourselves(tmp_path / "set")
    damage(folder)
    with refused(code, **values):
        open_images(folder)
