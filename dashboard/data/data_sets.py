"""The data sets one can look at: a source and, where it needs one, a folder that somebody has added."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard.known_folders import Folder, read_folders
from dashboard.networks import catalogue
from datamodules.problems import DataError, printable
from datamodules.sources import is_address
from jobs.preflight.allowed_paths import check_folder
from tracking.store import Store

if TYPE_CHECKING:
    from datamodules.images import Images, Split
    from datamodules.sources import Source

TRAIN, VAL = "train", "val"
SPLITS: Mapping[str, str] = {TRAIN: "training", VAL: "validation"}

Labels = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        source: What opens it.
        root: Its folder or address, empty where the source needs none.
    """

    source: "Source"
    root: str = ""

    @property
    def key(self) -> str:
        """What the address of the page calls it."""
        return Folder(self.source.key, self.root).key if self.root else self.source.key

    @property
    def title(self) -> str:
        """Its name for people: the folder's own, or the source's."""
        return PurePath(self.root).name if self.root else self.source.title

    @property
    def path(self) -> Path | None:
        """Its folder, None where the source needs none or reads from an address."""
        return Path(self.root) if self.root and not is_address(self.root) else None

    @property
    def is_missing(self) -> bool:
        """Whether its folder is not there, or out of sight."""
        return self.path is not None and not is_folder(self.path)

    @property
    def stamp(self) -> tuple[int, ...]:
        """Tells one state of its folder from another: adding or removing classes changes it."""
        if self.path is None:
            return ()
        folders = (self.path, *(self.path / split for split in SPLITS))
        return tuple(folder.stat().st_mtime_ns for folder in folders if is_folder(folder))

    @property
    def words(self) -> list[str]:
        """What names it on a command line."""
        return [self.source.key, *(["--root", self.root] if self.root else [])]


@dataclass(frozen=True)
class Numbers:
    """What a data set holds.

    Attributes:
        class_names: In the order of the labels.
        train: Images of each class to train on.
        val: Images of each class to validate on.
    """

    class_names: tuple[str, ...]
    train: Labels
    val: Labels


def known_sets(store: Store) -> dict[str, DataSet]:
    """Find every data set by key: the sources that need no folder, then the folders in the order of adding.

    Raises:
        ValueError: the list of folders cannot be read.
        StoreUnavailable: the store cannot be read.
    """
    sources = catalogue.sources()
    own = [DataSet(source) for source in sources.values() if not source.needs_root]
    added = [DataSet(sources[one.source], one.root) for one in read_folders(store) if one.source in sources]
    return {one.key: one for one in (*own, *added)}


def open_images(data_set: DataSet) -> "Images":
    """Open a data set as a training would; what was opened is kept while its folders do not change.

    Raises:
        DataError: it is not there, not as it must be, or no longer where data may lie.
    """
    if data_set.path is not None:
        # Again, although it was checked when it was added: links and what is allowed may have changed since.
        try:
            check_folder(data_set.root)
        except ValueError as problem:
            raise DataError(str(problem)) from problem
    return _open(data_set.source.key, data_set.root, data_set.stamp)


def describe(images: "Images") -> str:
    """Write how many classes and images there are in one line."""
    return f"{len(images.class_names):,} classes · {len(images.train):,} + {len(images.val):,} images"


def labels(data_set: DataSet, split: str) -> Labels:
    """Return the label of every image of a split.

    Raises:
        DataError: as `open_images`, or all images would have to be fetched to learn their labels.
    """
    return _labels(data_set.source.key, data_set.root, data_set.stamp, split)


def count(data_set: DataSet) -> Numbers:
    """Count a data set's images by class. Raises DataError as `labels`."""
    names = class_names(open_images(data_set))
    train, val = (np.bincount(labels(data_set, split), minlength=len(names)) for split in SPLITS)
    return Numbers(names, train, val)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder that one may look into."""
    try:
        return path.is_dir()
    except OSError:
        return False


def class_names(images: "Images") -> tuple[str, ...]:
    """Return the names of the classes for people: folders may be called by bytes that are no text."""
    return tuple(map(printable, images.class_names))


def name_of(split: "Split", index: int) -> str:
    """Return the name of an image for people: its file's within the split, or its place among the others."""
    files = getattr(split, "index", None)
    return f"image {index}" if files is None else printable(files.file(index))


def split_of(images: "Images", split: str) -> "Split":
    """Give one of the two splits by its key."""
    return images.train if split == TRAIN else images.val


@st.cache_resource(max_entries=8, ttl=60, show_spinner="Listing the images …")
def _open(source: str, root: str, stamp: tuple[int, ...]) -> "Images":
    return catalogue.sources()[source].images(root or None)


@st.cache_resource(max_entries=16, ttl=60, show_spinner="Counting …")
def _labels(source: str, root: str, stamp: tuple[int, ...], split: str) -> Labels:
    from datamodules.images import as_streamed

    part = split_of(_open(source, root, stamp), split)
    streamed = as_streamed(part)
    if streamed is not None:
        if streamed.labels is None:
            raise DataError(
                f"{root} does not list the classes of its images, and all of it would have to be fetched to "
                "find them; python -m datamodules convert writes such a list."
            )
        return np.asarray(streamed.labels, np.int64)
    return np.fromiter((part.label(index) for index in range(len(part))), np.int64, len(part))
