"""Folders of images that somebody has added, and where folders may be at all."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock

from tracking.store import REPOSITORY, Store, reported

VARIABLE = "ARENA_DATA_ROOTS"
# Besides the home and this project: where machines usually keep what is too large for a home.
USUAL = ("/data", "/datasets", "/mnt", "/media", "/scratch", "/srv", "/Volumes")


@dataclass(frozen=True)
class Folder:
    """A folder that somebody has added.

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


def allowed_roots() -> tuple[Path, ...]:
    """Give the folders in which data may lie: those of ARENA_DATA_ROOTS, or the home and the usual places."""
    named = [text for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text.strip()]
    places = named or [str(Path.home()), str(REPOSITORY), *USUAL]
    found = dict.fromkeys(Path(place).expanduser().resolve() for place in places)
    return tuple(root for root in found if root.is_dir())


def check_folder(text: str) -> Path:
    """Find the folder that somebody has typed, symbolic links followed, wherever that may lead.

    Raises:
        ValueError: nothing is typed, the folder lies elsewhere than it may, or is not there; one sentence.
    """
    folder = check_place(text)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {text.strip()}.")
    return folder


def check_place(text: str) -> Path:
    """Find the place that somebody has typed, which need not exist yet, as `check_folder` does.

    Raises:
        ValueError: nothing is typed, or the place lies elsewhere than it may; one sentence.
    """
    if not text.strip():
        raise ValueError("Name a folder on the machine this dashboard runs on.")
    typed = Path(text.strip()).expanduser()
    if "\0" in text or not typed.is_absolute():
        raise ValueError(f"{text.strip()!r} is not a full path; begin with / or ~.")
    try:
        folder = typed.resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{typed} cannot be followed: its symbolic links lead nowhere.") from error
    roots = allowed_roots()
    # Before anything is looked up: nobody learns here what there is elsewhere on this machine.
    if not any(folder.is_relative_to(root) for root in roots):
        places = ", ".join(map(str, roots)) or "nowhere"
        raise ValueError(
            f"{typed} is not in a place that data may be read from ({places}); "
            f"set {VARIABLE} to allow others, and start the dashboard again."
        )
    return folder


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
        raise ValueError(f"{file} cannot be read as a list of folders; mend or remove it.") from error


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
