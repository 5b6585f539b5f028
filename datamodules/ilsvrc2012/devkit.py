"""The challenge's devkit: numbers, names and meanings of the classes, and labels of the validation images.

It is distributed as ``ILSVRC2012_devkit_t12.tar.gz``. The content of two of its files is kept beside the
unpacked images in ``devkit.json``, so that MATLAB's format has to be read only once.
"""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.problems import Archives, Damaged, DataError

FILE = "devkit.json"
META = "ILSVRC2012_devkit_t12/data/meta.mat"
GROUND_TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
MAX_MEMBER_BYTES = 64_000_000


@dataclass(frozen=True)
class Synset:
    """A set of synonyms: a class, or a concept above some classes in the hierarchy.

    Attributes:
        number: The devkit's ILSVRC2012_ID; the classes have 1 to 1,000, the concepts above them more.
        wnid: WordNet ID.
        words: Synonyms, the most common first.
        gloss: Their meaning in a sentence.
        children: Numbers of the synsets directly below; none for a class.
        num_train_images: Number of training images of a class.
    """

    number: int
    wnid: str
    words: tuple[str, ...]
    gloss: str
    children: tuple[int, ...]
    num_train_images: int


@dataclass(frozen=True)
class Devkit:
    """The content of the devkit.

    Attributes:
        synsets: All synsets by number.
        val_numbers: Class number of each validation image, in the order of the file names.
    """

    synsets: Mapping[int, Synset]
    val_numbers: tuple[int, ...]

    @cached_property
    def classes(self) -> dict[str, Synset]:
        """The classes by wnid, in the order of the labels."""
        leaves = (synset for synset in self.synsets.values() if not synset.children)
        return {synset.wnid: synset for synset in sorted(leaves, key=lambda synset: synset.wnid)}

    @cached_property
    def val_wnids(self) -> tuple[str, ...]:
        """The class of each validation image, in the order of the file names."""
        return tuple(self.synsets[number].wnid for number in self.val_numbers)


def read_archive(file: Path) -> Devkit:
    """Read the devkit's archive without unpacking it.

    Raises:
        DataError: It is not the devkit, or it is damaged.
    """
    try:
        with tarfile.open(file, "r:gz") as archive:
            meta, ground_truth = (_read_member(archive, name) for name in (META, GROUND_TRUTH))
        devkit = Devkit(_read_meta(meta), tuple(map(int, ground_truth.split())))
        if not devkit.val_numbers or not set(devkit.val_wnids) <= devkit.classes.keys():
            raise ValueError(devkit.val_numbers)
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, tarfile.TarError) as error:
        raise DataError(Archives.NOT_DEVKIT, file=file) from error
    return devkit


def write_devkit(devkit: Devkit, root: Path) -> None:
    """Write the devkit beside the images."""
    temporary = root / f".{FILE}"
    text = {
        "synsets": [asdict(synset) for synset in devkit.synsets.values()],
        "val_numbers": devkit.val_numbers,
    }
    temporary.write_text(json.dumps(text), encoding="utf-8")
    temporary.replace(root / FILE)


def read_devkit(root: Path) -> Devkit | None:
    """Return the devkit that was written beside the images; None if there is none.

    Raises:
        DataError: It cannot be read.
    """
    file = root / FILE
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        synsets = {row["number"]: _synset(row) for row in kept["synsets"]}
        return Devkit(synsets, tuple(kept["val_numbers"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(Damaged.DEVKIT, file=file) from error


def _synset(row: Mapping[str, Any]) -> Synset:
    return Synset(**{**row, "words": tuple(row["words"]), "children": tuple(row["children"])})


def _read_member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    if not member.isreg() or member.size > MAX_MEMBER_BYTES:
        raise ValueError(member)
    stream = archive.extractfile(member)
    assert stream is not None
    return stream.read()


def _read_meta(data: bytes) -> dict[int, Synset]:
    """Read a file in MATLAB's format 5, from which SciPy loads arrays and text but never code."""
    from scipy.io import loadmat

    try:
        table: Any = loadmat(io.BytesIO(data), squeeze_me=True, variable_names=["synsets"])["synsets"]
    except Exception as error:  # SciPy raises many kinds for invalid bytes
        raise ValueError(META) from error
    synsets: dict[int, Synset] = {}
    for number, wnid, words, gloss, num_children, children, _, num_train_images in table.tolist():
        synsets[int(number)] = Synset(
            number=int(number),
            wnid=str(wnid),
            words=tuple(str(words).split(", ")),
            gloss=str(gloss),
            children=tuple(np.atleast_1d(children).astype(int).tolist()) if num_children else (),
            num_train_images=int(num_train_images),
        )
    return synsets
