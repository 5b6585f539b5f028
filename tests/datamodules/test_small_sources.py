"""CIFAR-10, Tiny ImageNet and Imagenette: as distributed, and what is said when they are not."""

import dataclasses
import hashlib
import io
import json
import pickle
import re
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import sources
from datamodules.__main__ import main
from datamodules.downloads.archives import Archive
from datamodules.downloads.downloading import download
from datamodules.downloads.installing import install
from datamodules.imagenet import ImageNetDataModule
from datamodules.problems import Archives, Damaged, Reading, Root
from datamodules.progress import Progress, read_progress
from datamodules.sources import cifar10, imagenette
from problems import Code
from tests.datamodules.conftest import CLASSES, picture
from tests.exits import exit_code
from tests.refusals import refused

PER_BATCH = 12


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Images whose labels go round and whose pixels are 10 times the label in red, 1 in green, 2 in blue."""
    folder = tmp_path / cifar10.NAME
    folder.mkdir()
    for number, name in enumerate((*cifar10.TRAIN, *cifar10.VAL)):
        labels = (np.arange(PER_BATCH) + number) % 10
        planes = [np.full((PER_BATCH, 1024), value, np.uint8) for value in (0, 1, 2)]
        planes[0] += (labels[:, None] * 10).astype(np.uint8)
        records = np.concatenate([labels[:, None].astype(np.uint8), *planes], axis=1)
        records.tofile(folder / name)
    return folder


def test_cifar10_is_read_from_plain_bytes(cifar: Path) -> None:
    for root in (cifar, cifar.parent):
        images = sources.get("cifar10").open(root)
        assert (len(images.train), len(images.val)) == (5 * PER_BATCH, PER_BATCH)
        assert images.class_names[images.train.label(PER_BATCH)] == "automobile"
        for index in range(len(images.train)):
            pixels = images.train.read(index)
            assert pixels.shape == (3, 32, 32) and pixels.dtype == torch.uint8
            assert pixels[:, 5, 7].tolist() == [images.train.label(index) * 10, 1, 2]
    batch = next(iter(ImageNetDataModule(source="cifar10", root=str(cifar), batch_size=8).train_dataloader()))
    assert batch.images.shape == (8, 3, 64, 64)


def cut_off(folder: Path) -> None:
    file = folder / "data_batch_3.bin"
    file.write_bytes(file.read_bytes()[:-1])


def empty(folder: Path) -> None:
    (folder / "test_batch.bin").write_bytes(b"")


def label_eleven(folder: Path) -> None:
    file = folder / "data_batch_1.bin"
    file.write_bytes(b"\x0b" + file.read_bytes()[1:])


@pytest.mark.parametrize(
    ("damage", "name"),
    [(cut_off, "data_batch_3.bin"), (empty, "test_batch.bin"), (label_eleven, "data_batch_1.bin")],
)
def test_a_damaged_cifar10(damage: Callable[[Path], None], name: str, cifar: Path) -> None:
    damage(cifar)
    with refused(Damaged.CIFAR10) as error:
        sources.get("cifar10").open(cifar)
    assert error.value.values["file"].name == name


def test_an_incomplete_cifar10(cifar: Path) -> None:
    file = cifar / "data_batch_2.bin"
    file.unlink()
    with refused(Reading.FAILED, file=str(file)):
        sources.get("cifar10").images(str(cifar))


class Canary:
    """Unpickling it leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.file,)


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    canary = tmp_path / "it ran"
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    for root in (tmp_path, folder):
        with refused(Root.NOT_CIFAR10, root=root):
            sources.get("cifar10").open(root)
    binary = tmp_path / cifar10.NAME
    folder.rename(binary)
    for file in list(binary.iterdir()):
        file.rename(binary / f"{file.name}.bin")
    with refused(Damaged.CIFAR10):
        sources.get("cifar10").open(tmp_path)
    assert not canary.exists()
    pickle.loads((binary / "test_batch.bin").read_bytes())
    assert canary.exists(), "a canary that cannot sing proves nothing"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Tiny ImageNet's layout with three classes; the annotations go against the order of the classes."""
    folder = tmp_path / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for label, name in enumerate(CLASSES):
        (folder / "train" / name / "images").mkdir(parents=True)
        (folder / "train" / name / f"{name}_boxes.txt").write_text("")
        for number in range(4):
            picture(label, number).save(folder / "train" / name / "images" / f"{name}_{number}.JPEG")
        for number in range(2):
            file = f"val_{5 - 2 * label + number}.JPEG"
            picture(label, number).save(folder / "val" / "images" / file)
            lines.append(f"{file}\t{name}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(reversed(lines)))
    return folder


def test_tiny_imagenet_as_distributed(tiny: Path) -> None:
    for root in (tiny, tiny.parent):
        images = sources.get("tiny-imagenet").open(root)
        assert images.class_names == CLASSES
        for split, count in ((images.train, 4), (images.val, 2)):
            assert sorted(split.label(index) for index in range(len(split))) == sorted([0, 1, 2] * count)
            for index in range(len(split)):
                assert split.read(index).float().mean((1, 2)).argmax() == split.label(index)


def lose_an_image(folder: Path) -> None:
    (folder / "val" / "images" / "val_1.JPEG").unlink()


def test_tiny_imagenet_has_nothing_odd(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tiny-imagenet", "--root", str(tiny), "--format", "json"]) == 0
    assert "ignored" not in [found["kind"] for found in json.loads(capsys.readouterr().out)["findings"]]
    (tiny / "val" / "images" / "val_1.JPEG").write_bytes(b"")
    assert main(["check", "tiny-imagenet", "--root", str(tiny)]) == 0
    assert "val_1.JPEG" in capsys.readouterr().out


def annotate(change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "val" / "val_annotations.txt"
        file.write_text(change(file.read_text()))

    return damage


@pytest.mark.parametrize(
    ("damage", "code", "values"),
    [
        (lose_an_image, Damaged.ANNOTATED_ONLY, {"some": "val_1.JPEG"}),
        (annotate(lambda text: text.split("\n", 1)[1]), Damaged.NOT_ANNOTATED, {}),
        (annotate(lambda text: ""), Damaged.NOT_ANNOTATED, {}),
        (
            annotate(lambda text: text.replace(CLASSES[0], "n99999999")),
            Damaged.UNKNOWN_CLASS,
            {"some": "n99999999"},
        ),
        (
            annotate(lambda text: text.replace(CLASSES[0], CLASSES[1])),
            Damaged.CLASS_WITHOUT_IMAGES,
            {"some": CLASSES[0]},
        ),
        (lambda folder: (folder / "val" / "val_annotations.txt").unlink(), Root.NO_ANNOTATIONS, {}),
        (
            lambda folder: (folder / "val" / "val_annotations.txt").write_bytes(b"\xff"),
            Damaged.UNREADABLE_ANNOTATIONS,
            {},
        ),
    ],
)
def test_tiny_imagenet_whose_annotations_do_not_fit(
    damage: Callable[[Path], None], code: Code, values: dict[str, str], tiny: Path
) -> None:
    damage(tiny)
    with refused(code, **values):
        sources.get("tiny-imagenet").open(tiny)


def archive_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


IMAGES = {
    f"{imagenette.NAME}/{split}/{name}/{name}_{number}.JPEG": f"{split}{name}{number}".encode() * 99
    for split in ("train", "val")
    for name in CLASSES
    for number in range(2)
}
DATA = archive_of({**IMAGES, f"{imagenette.NAME}/noisy_imagenette.csv": b"path"})


class Server(ThreadingHTTPServer):
    """Serves one archive on loopback; can break off after some bytes, or forget about ranges."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.sends, self.knows_ranges = DATA, len(DATA), True
        self.ranges: list[str | None] = []

    @property
    def archive(self) -> Archive:
        url = f"http://127.0.0.1:{self.server_address[1]}/{imagenette.ARCHIVE.name}"
        return Archive(imagenette.ARCHIVE.name, hashlib.md5(DATA).hexdigest(), len(DATA), url)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.server.knows_ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.server.data) - start))
        self.end_headers()
        self.wfile.write(self.server.data[start : start + self.server.sends])

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def put_up(server: Server, root: Path, archives: Path | None = None) -> None:
    install(server.archive, imagenette.NAME, imagenette.IMAGE, root, archives, Progress())


def unpacked(root: Path) -> dict[str, bytes]:
    files = {str(file.relative_to(root)): file for file in root.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if name != ".prepare.lock"}


def test_what_is_downloaded_is_unpacked_and_removed(server: Server, tmp_path: Path) -> None:
    put_up(server, tmp_path / "root")
    assert unpacked(tmp_path / "root") == IMAGES
    put_up(server, tmp_path / "root")
    assert len(server.ranges) == 1, "once is enough"


def test_an_archive_that_is_there_is_taken_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / server.archive.name).write_bytes(DATA)
    put_up(server, tmp_path / "root", tmp_path)
    assert unpacked(tmp_path / "root") == IMAGES
    assert not server.ranges and (tmp_path / server.archive.name).exists()


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_goes_on(knows_ranges: bool, server: Server, tmp_path: Path) -> None:
    server.knows_ranges, server.sends = knows_ranges, 400
    with refused(Archives.BROKEN_OFF, done=400, total=len(DATA)):
        put_up(server, tmp_path / "root")
    server.sends = len(DATA)
    put_up(server, tmp_path / "root")
    assert server.ranges == [None, "bytes=399-"] and unpacked(tmp_path / "root") == IMAGES


def test_another_file_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.data = DATA[:-1] + b"?"
    with refused(Archives.WRONG_MD5):
        put_up(server, tmp_path / "root")
    assert unpacked(tmp_path / "root") == {}


def test_without_the_network(server: Server, tmp_path: Path) -> None:
    nowhere = dataclasses.replace(server.archive, url="http://127.0.0.1:9/imagenette2-320.tgz")
    with refused(Archives.NOT_FETCHED, url=nowhere.url, name=nowhere.name):
        download(nowhere, tmp_path, Progress())


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    data = archive_of({"other/file.txt": b"text"})
    (tmp_path / "a.tgz").write_bytes(data)
    archive = Archive("a.tgz", hashlib.md5(data).hexdigest())
    with refused(Archives.NO_IMAGES, name=imagenette.NAME):
        install(archive, imagenette.NAME, imagenette.IMAGE, tmp_path / "root", tmp_path, Progress())
    assert not (tmp_path / "root" / imagenette.NAME).exists()


def test_whoever_asks_it_to_end_gets_an_orderly_end(tmp_path: Path) -> None:
    """An archive of the right size, all zeros: reading it takes long enough to be interrupted."""
    with (tmp_path / imagenette.ARCHIVE.name).open("wb") as stream:
        stream.truncate(imagenette.ARCHIVE.size_bytes)
    report = tmp_path / "progress.json"
    command = [sys.executable, "-m", "datamodules", "prepare", "imagenette", "--progress", str(report)]
    command += ["--archives", str(tmp_path), "--root", str(tmp_path / "root")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while (found := read_progress(report)) is None or not found.stage.startswith("Checking"):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.terminate()
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and error.splitlines()[-1].startswith("Stopped;")
    found = read_progress(report)
    assert found is not None and found.state == "stopped" and found.pid == process.pid


@pytest.mark.parametrize("key", ["cifar10", "imagenette", "imagenet"])
def test_whoever_has_nothing_yet_is_told_the_command(key: str, tmp_path: Path) -> None:
    command = f"`python -m datamodules prepare {key} "
    for root, code in ((None, Root.NOT_NAMED), (str(tmp_path / "gone"), Root.MISSING)):
        with refused(code) as error:
            sources.get(key).images(root)
        assert command in error.value.values["wanted"]


def test_only_what_is_made_from_archives_can_be_prepared(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(main, ["prepare", "digits", "--root", "x"]) == 2
    assert "choose from 'cifar10', 'imagenette', 'imagenet'" in capsys.readouterr().err


def test_imagenette_is_a_folder(tmp_path: Path, folder: Path) -> None:
    folder.rename(tmp_path / imagenette.NAME)
    for root in (tmp_path, tmp_path / imagenette.NAME):
        assert sources.get("imagenette").open(root).class_names == CLASSES
