"""Chunks from an S3-compatible server on this machine: order, cache, resuming; a server that goes away."""

import functools
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from datamodules import sources
from datamodules.cache import cache_folder
from datamodules.imagenet import ImageNetDataModule
from datamodules.images import Parts
from datamodules.problems import Cache, DataError, Remote, Root
from datamodules.reading.sampling import EpochSampler, shuffle
from datamodules.streams import storage
from datamodules.streams.chunk_cache import UNFINISHED, ChunkCache, kept_chunks
from datamodules.streams.streaming import check_cache_limit, open_address
from problems import Code
from tests.datamodules.s3_server import SETTINGS, Server, free_port
from tests.datamodules.test_chunks import write_ourselves
from tests.refusals import refused


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """61 images of three classes in each split, three a chunk."""
    return write_ourselves(tmp_path / "set", count=61)


def data_module(root: str, num_workers: int = 0) -> ImageNetDataModule:
    return ImageNetDataModule(
        source="litdata", root=root, image_size=32, batch_size=4, num_workers=num_workers
    )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_stream_gives_what_the_folder_gives(
    server: Server, cache: Path, folder: Path, num_workers: int
) -> None:
    here, there = data_module(str(folder)), data_module(server.put(folder, "set"), num_workers)
    for mine, theirs in (
        (here.train_dataloader(), there.train_dataloader()),
        (here.val_dataloader(), there.val_dataloader()),
    ):
        for ours, streamed in zip(mine, theirs, strict=True):
            assert torch.equal(ours.images, streamed.images) and torch.equal(ours.labels, streamed.labels)
            assert not streamed.unreadable
    kept = [path for path in cache.rglob("*") if path.is_file()]
    assert {path.suffix for path in kept} == {".bin"} and len(kept) == 42  # and nothing else lies about


def test_only_what_is_read_is_fetched(server: Server, cache: Path, folder: Path) -> None:
    images = open_address(server.put(folder, "set"))
    assert len(images.train) == 61 and images.train.label(60) == 0
    assert not kept_chunks(cache / "chunks")
    images.train.read(7)
    assert [path.name for path in kept_chunks(cache / "chunks")] == ["chunk-0-2.bin"]


def test_other_data_at_the_same_address_is_not_taken_for_the_old(
    server: Server, cache: Path, folder: Path, tmp_path: Path
) -> None:
    address = server.put(folder, "set")
    open_address(address).train.read(0)
    smaller = write_ourselves(tmp_path / "smaller", count=9)
    chunk = smaller / "train" / "chunk-0-0.bin"
    server.put(smaller, "set")
    split = open_address(address).train
    assert len(split) == 9
    split.read(0)
    assert sum(path.name == "chunk-0-0.bin" for path in kept_chunks(cache / "chunks")) == 2
    assert chunk.exists()


# A hundred parts of fifty images, twelve of which are shuffled at a time.
PARTS = Parts(np.cumsum(np.full(100, 50)), window=600)

# The cache by itself: a store of files on this disk that counts what it is asked for, and can be slow.


class CountingStore:
    def __init__(self, folder: Path, pause_s: float = 0.0) -> None:
        self.address, self.folder, self.pause_s = f"count://{folder}", folder, pause_s
        self.asked: list[str] = []

    def stream(self, name: str) -> Iterator[bytes]:
        self.asked.append(name)
        time.sleep(self.pause_s)
        yield (self.folder / name).read_bytes()


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    (tmp_path / "store").mkdir()
    for number in range(8):
        (tmp_path / "store" / f"{number}.bin").write_bytes(bytes([number]) * 1000)
    return CountingStore(tmp_path / "store")


def cache_of(store: CountingStore, root: Path, limit_bytes: int) -> ChunkCache:
    return ChunkCache(store, root, root / "set" / "train", limit_bytes)


def test_the_cache_keeps_within_its_bound_and_what_was_used_last(
    store: CountingStore, tmp_path: Path
) -> None:
    chunks = cache_of(store, tmp_path / "cache", 3000)
    for number in [0, 1, 2, 0, 3, 0, 4, 0, 5, 0]:
        with chunks.open(f"{number}.bin", 1000) as handle:
            assert os.pread(handle, 1, 0)[0] == number
        assert sum(status.st_size for status in kept_chunks(tmp_path / "cache").values()) <= 3000
        time.sleep(0.01)  # longer than a file system's clock ticks
    assert store.asked.count("0.bin") == 1


def test_what_is_open_stays_readable_when_it_is_cleared_away(store: CountingStore, tmp_path: Path) -> None:
    chunks = cache_of(store, tmp_path / "cache", 1000)
    with chunks.open("0.bin", 1000) as handle:
        with chunks.open("1.bin", 1000):
            assert [path.name for path in kept_chunks(tmp_path / "cache")] == ["1.bin"]
        assert os.pread(handle, 1000, 0) == bytes(1000)


def test_readers_of_the_same_chunk_fetch_it_once(store: CountingStore, tmp_path: Path) -> None:
    store.pause_s = 0.2
    caches = [cache_of(store, tmp_path / "cache", 8000) for _ in range(8)]

    def read(chunks: ChunkCache) -> bytes:
        with chunks.open("3.bin", 1000) as handle:
            return os.pread(handle, 1000, 0)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, caches)) == {bytes([3]) * 1000}
    assert store.asked == ["3.bin"]
    assert [path.name for path in kept_chunks(tmp_path / "cache")] == ["3.bin"]


def test_what_is_expected_is_there_when_it_is_needed(store: CountingStore, tmp_path: Path) -> None:
    chunks = cache_of(store, tmp_path / "cache", 8000)
    chunks.expect("5.bin", 1000)
    until = time.monotonic() + 20
    while not (tmp_path / "cache" / "set" / "train" / "5.bin").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    with chunks.open("5.bin", 1000):
        assert store.asked == ["5.bin"]
    chunks.expect("nowhere.bin", 1000)  # what goes wrong shows when it is needed


def test_a_fetch_that_was_killed_is_done_again(store: CountingStore, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom datamodules.streams.chunk_cache import ChunkCache\n"
        "class Store:\n    address = 'slow://'\n    def stream(self, name):\n"
        "        yield b'x' * 500\n        print('half', flush=True)\n        time.sleep(60)\n"
        "root = Path(sys.argv[1])\n"
        "with ChunkCache(Store(), root, root / 'set' / 'train', 3000).open('2.bin', 1000): pass\n"
    )
    half = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cache")], stdout=subprocess.PIPE)
    assert half.stdout is not None and half.stdout.readline() == b"half\n"
    half.send_signal(signal.SIGKILL)
    half.communicate()
    left = tmp_path / "cache" / "set" / "train" / f"2.bin{UNFINISHED}"
    assert left.exists()
    chunks = cache_of(store, tmp_path / "cache", 3000)
    for number in (0, 1, 3):  # the orphan is in the way of the third
        with chunks.open(f"{number}.bin", 1000):
            pass
    assert not left.exists()
    with chunks.open("2.bin", 1000) as handle:
        assert os.pread(handle, 1000, 0) == bytes([2]) * 1000


def test_a_cache_smaller_than_the_data_fetches_each_chunk_once_an_epoch(
    store: CountingStore, tmp_path: Path
) -> None:
    for number in range(100):
        (store.folder / f"{number}.bin").write_bytes(bytes(1000))
    # As `check_cache_limit` demands it: one and a half windows of 12 chunks, and 4 more.
    chunks = cache_of(store, tmp_path / "cache", 22_000)
    for draw in EpochSampler(5000, 1, parts=PARTS):
        if draw.ahead >= 0:
            chunks.expect(f"{draw.ahead // 50}.bin", 1000)
        with chunks.open(f"{draw.image // 50}.bin", 1000):
            pass
    assert sorted(store.asked) == sorted(f"{number}.bin" for number in range(100))


# What goes wrong out there, each in one sentence and in time.


def test_a_server_that_is_away_is_one_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with refused(Remote.NO_ANSWER, address="s3://images/set", setting="AWS_ENDPOINT_URL"):
        open_address("s3://images/set")


def test_a_server_that_never_answers_is_given_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(storage, "READ_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with refused(Remote.NO_ANSWER):
            open_address("s3://images/set")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_server_that_dies_in_mid_epoch_ends_it_with_a_sentence(
    server: Server, cache: Path, folder: Path, num_workers: int
) -> None:
    data = data_module(server.put(folder, "set"), num_workers)
    batches = iter(data.train_dataloader())
    next(batches)
    server.stop()
    # An error of a worker arrives as text.
    with pytest.raises(DataError) as error:
        for _ in batches:
            pass
    sentence = str(error.value)
    assert sentence.startswith("s3://images/set/train ") and "AWS_ENDPOINT_URL" in sentence
    assert "\n" not in sentence


ABSENT: list[tuple[str, Code, dict[str, str]]] = [
    ("s3://images/nothing", Remote.NO_FILE, {"name": "info.json", "address": "s3://images/nothing"}),
    ("s3://elsewhere/set", Remote.NO_BUCKET, {"bucket": "elsewhere"}),
    ("s3://", Remote.NOT_AN_ADDRESS, {}),
    ("ftp://images/set", Remote.NOT_AN_ADDRESS, {"address": "ftp://images/set"}),
    ("hf://owner/name", Remote.NOT_AN_ADDRESS, {"address": "hf://owner/name"}),
]


@pytest.mark.parametrize(("address", "code", "values"), ABSENT)
def test_what_is_not_there(
    server: Server, cache: Path, address: str, code: Code, values: dict[str, str]
) -> None:
    with refused(code, **values):
        open_address(address)


def test_a_chunk_of_another_size_is_refused(server: Server, cache: Path, folder: Path) -> None:
    os.truncate(folder / "train" / "chunk-0-0.bin", 100)
    images = open_address(server.put(folder, "set"))
    with refused(Remote.WRONG_SIZE, address="s3://images/set/train", name="chunk-0-0.bin"):
        images.train.read(0)


def test_a_bound_that_is_too_small_is_refused_with_what_is_needed(
    server: Server, cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_CACHE_GB", "0.00001")
    with refused(Cache.LIMIT_TOO_SMALL, limit_gb=1e-5):
        open_address(server.put(folder, "set"))
    monkeypatch.setenv("ARENA_CACHE_GB", "much")
    with refused(Cache.BAD_LIMIT, value="much"):
        open_address("s3://images/set")


def test_other_sources_say_that_they_read_folders() -> None:
    with refused(Root.NO_ADDRESSES, source="folder", root="s3://images/set"):
        sources.get("folder").images("s3://images/set")


# gs:// and hf:// themselves cannot be reached from a test; that the right files are asked for, can be.


@pytest.mark.parametrize(
    ("address", "setting", "scheme", "place"),
    [
        ("gs://bucket/some/set", "STORAGE_EMULATOR_HOST", "http://", "bucket/some/set"),
        ("gs://bucket/some/set", "STORAGE_EMULATOR_HOST", "", "bucket/some/set"),
        ("hf://datasets/owner/name/set", "HF_ENDPOINT", "http://", "datasets/owner/name/resolve/main/set"),
        ("hf://datasets/owner/name@v2", "HF_ENDPOINT", "http://", "datasets/owner/name/resolve/v2"),
    ],
)
def test_plain_https_addresses_ask_for_the_right_files(
    cache: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    setting: str,
    scheme: str,
    place: str,
) -> None:
    (tmp_path / "site" / place).parent.mkdir(parents=True)
    folder.rename(tmp_path / "site" / place)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        monkeypatch.setenv(setting, f"{scheme}127.0.0.1:{site.server_port}")
        images = open_address(address)
        assert images.train.read(60).shape == (3, 40, 48)
        with refused(Remote.NO_FILE, name="info.json", address=address + "x"):
            open_address(address + "x")
        site.shutdown()


@pytest.mark.parametrize("kind", ["service_account", "unknown"])
def test_credentials_of_googles_that_cannot_be_used_are_one_sentence(
    kind: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.auth")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    credentials = {
        "type": kind,
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "somebody@example.org",
        "token_uri": f"http://127.0.0.1:{free_port()}/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(credentials))
    monkeypatch.setenv(storage.GOOGLE_SETTING, str(tmp_path / "key.json"))
    storage._google_credentials.cache_clear()
    with refused(Remote.BAD_CREDENTIALS, setting=storage.GOOGLE_SETTING):
        open_address("gs://bucket/set")
    storage._google_credentials.cache_clear()


# The order of images that come in parts.


def test_every_image_comes_once_and_few_parts_are_in_use_at_a_time() -> None:
    order = shuffle(5000, torch.Generator().manual_seed(1), PARTS)
    assert sorted(order.tolist()) == list(range(5000))
    part = order // 50
    first = {int(number): place for place, number in reversed(list(enumerate(part.tolist())))}
    last = {int(number): place for place, number in enumerate(part.tolist())}
    # In use are those that began and have not ended; 12 are shuffled at a time.
    in_use = [sum(first[number] <= place <= last[number] for number in first) for place in range(0, 5000, 50)]
    assert max(in_use) <= 2 * 12 + 2
    mixed = [len(set(part[place : place + 100].tolist())) for place in range(600, 4400, 100)]
    assert min(mixed) >= 10


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(5000, seed, parts=PARTS)
        sampler.set_epoch(epoch)
        return [draw.image for draw in sampler]

    assert order(1, 3) == order(1, 3)
    assert order(1, 3) != order(1, 4) and order(1, 3) != order(2, 3)


def test_two_ranks_share_the_order_of_one() -> None:
    ranks = [[draw.image for draw in EpochSampler(5000, 1, rank, 2, PARTS)] for rank in range(2)]
    assert [image for pair in zip(*ranks, strict=True) for image in pair] == [
        draw.image for draw in EpochSampler(5000, 1, parts=PARTS)
    ]


def test_what_is_ahead_comes_later() -> None:
    draws = list(EpochSampler(5000, 1, parts=PARTS))
    assert [draw.ahead for draw in draws[:-150]] == [draw.image for draw in draws[150:]]
    assert {draw.ahead for draw in draws[-150:]} == {-1}
    assert {draw.ahead for draw in EpochSampler(5000, 1)} == {-1}


def test_what_is_shuffled_at_a_time_must_fit(server: Server, cache: Path, folder: Path) -> None:
    chunks = open_address(server.put(folder, "set")).train.chunks  # type: ignore[attr-defined]
    check_cache_limit(chunks, sum(chunks.sizes_bytes) + 4 * max(chunks.sizes_bytes), "here")
    with refused(Cache.LIMIT_TOO_SMALL, address="here"):
        check_cache_limit(chunks, sum(chunks.sizes_bytes), "here")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_interrupted_stream_goes_on_with_the_very_next_image(
    server: Server, cache: Path, folder: Path, num_workers: int
) -> None:
    address = server.put(folder, "set")
    whole = [batch.seeds.tolist() for batch in data_module(address).train_dataloader()]
    interrupted = data_module(address, num_workers)
    batches = iter(interrupted.train_dataloader())
    assert [next(batches).seeds.tolist() for _ in range(5)] == whole[:5]
    resumed = data_module(address, num_workers)
    resumed.load_state_dict(interrupted.state_dict())
    assert [batch.seeds.tolist() for batch in resumed.train_dataloader()] == whole[5:]
    assert cache_folder() == cache
