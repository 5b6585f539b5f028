"""Folders of images that were added on the Data page."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock

from tracking.store import Store
from tracking.unavailable import reported


@dataclass(frozen=True)
class Folder:
    """A folder that was added on the Data page.

    Attributes:
        source: The key of the source that opens it.
        root: Its path, absolute and without symbolic links, or the address that a streaming source takes.
        added_at: Unix seconds.
        numbers: What it held when it was last looked at, in words; empty if it could not be opened yet.
    """

    source: str
    root: str
    added_at: float = 0.0
    numbers: str = ""

    @property
    def key(self) -> str:
        """What the address of the page calls it."""
        return f"{self.source}:{self.root}"


def read_folders(store: Store) -> list[Folder]:
    """Read what was added, in that order.

    Raises:
        ValueError: the file that keeps it cannot be read.
        StoreUnavailable: the store cannot be read.
    """
    file = _file(store)
    try:
        with reported(store):
            text = file.read_text(encoding="utf-8") if file.is_file() else "[]"
        return [Folder(**entry) for entry in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} cannot be read as a list of folders; correct or delete it.") from error


def add_folder(store: Store, source: str, root: str, numbers: str = "") -> Folder:
    """Keep a folder; one that is there already keeps its place, and takes the numbers if there are any.

    Raises:
        ValueError: the file that keeps it cannot be read.
        StoreUnavailable: the store cannot be written.
    """
    new = Folder(source, root, time.time(), numbers)
    with FileLock(store.root / "folders.lock"):
        known = {one.key: one for one in read_folders(store)}
        old = known.get(new.key)
        if old is None or numbers not in ("", old.numbers):
            known[new.key] = replace(old or new, numbers=numbers)
            _write(store, list(known.values()))
    return known[new.key]


def remove_folder(store: Store, key: str) -> None:
    """Forget a folder; its images stay where they are.

    Raises:
        ValueError: the file that keeps it cannot be read.
        StoreUnavailable: the store cannot be written.
    """
    with FileLock(store.root / "folders.lock"):
        _write(store, [one for one in read_folders(store) if one.key != key])


def _file(store: Store) -> Path:
    return store.root / "folders.json"


def _write(store: Store, folders: Sequence[Folder]) -> None:
    with reported(store):
        draft = _file(store).with_suffix(f".{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            json.dump([asdict(one) for one in folders], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(_file(store))
