"""The challenge's devkit: which class a number stands for, what the words mean, what val shows.

It comes as ``ILSVRC2012_devkit_t12.tar.gz``; two of its files matter here, and what they say is kept beside
the unpacked images as one JSON file that needs no MATLAB format: ``devkit.json``.
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

from datamodules.errors import DataError

FILE = "devkit.json"
META = "ILSVRC2012_devkit_t12/data/meta.mat"
GROUND_TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
MAX_MEMBER_BYTES = 64_000_000


@dataclass(frozen=True)
class Synset:
    """A set of words with one meaning: a class, or what classes have in common.

    Attributes:
        number: The devkit's ILSVRC2012_ID: 1 to 1,000 are the classes, what lies above them comes after.
        wnid: WordNet's number.
        words: Synonyms, the most common first.
        gloss: Their meaning in a sentence.
        children: Numbers of the synsets right below; a class has none.
        num_train_images: Of a class.
    """

    number: int
    wnid: str
    words: tuple[str, ...]
    gloss: str
    children: tuple[int, ...]
    num_train_images: int


@dataclass(frozen=True)
class Devkit:
    """What the devkit says.

    Attributes:
        synsets: By number.
        val_numbers: Number of the class of each validation image, in the order of the file names.
    """

    synsets: Mapping[int, Synset]
    val_numbers: tuple[int, ...]

    @cached_property
    def classes(self) -> dict[str, Synset]:
        """The synsets one can classify by, by wnid, in the order of the labels."""
        leaves = (synset for synset in self.synsets.values() if not synset.children)
        return {synset.wnid: synset for synset in sorted(leaves, key=lambda synset: synset.wnid)}

    @cached_property
    def val_wnids(self) -> tuple[str, ...]:
        """The class of each validation image, in the order of the file names."""
        return tuple(self.synsets[number].wnid for number in self.val_numbers)


def read_archive(file: Path) -> Devkit:
    """Reads the devkit as downloaded, without unpacking it.

    Raises:
        DataError: It is not the devkit, or damaged.
    """
    try:
        with tarfile.open(file, "r:gz") as archive:
            meta, ground_truth = (_read_member(archive, name) for name in (META, GROUND_TRUTH))
        devkit = Devkit(_read_meta(meta), tuple(map(int, ground_truth.split())))
        unknown = set(devkit.val_numbers) - {synset.number for synset in devkit.classes.values()}
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, tarfile.TarError) as error:
        raise DataError(f"{file} is not ImageNet's devkit: {_sentence(error)}.") from error
    if unknown or not devkit.val_numbers:
        raise DataError(f"{file} is damaged: its validation images belong to unknown classes.")
    return devkit


def write_devkit(devkit: Devkit, root: Path) -> None:
    """Keeps the devkit beside the images."""
    temporary = root / f".{FILE}"
    text = {
        "synsets": [asdict(synset) for synset in devkit.synsets.values()],
        "val_numbers": devkit.val_numbers,
    }
    temporary.write_text(json.dumps(text), encoding="utf-8")
    temporary.replace(root / FILE)


def read_devkit(root: Path) -> Devkit | None:
    """Returns what is kept beside the images; None where there is nothing.

    Raises:
        DataError: What is there cannot be read.
    """
    file = root / FILE
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        synsets = {row["number"]: _synset(row) for row in kept["synsets"]}
        return Devkit(synsets, tuple(kept["val_numbers"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} cannot be read; remove it and prepare ImageNet again.") from error


def _synset(row: Mapping[str, Any]) -> Synset:
    return Synset(**{**row, "words": tuple(row["words"]), "children": tuple(row["children"])})


def _read_member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    if not member.isreg() or member.size > MAX_MEMBER_BYTES:
        raise ValueError(f"{name} is no file of a usual size")
    stream = archive.extractfile(member)
    assert stream is not None
    return stream.read()


def _read_meta(data: bytes) -> dict[int, Synset]:
    """Reads MATLAB's format 5, in which SciPy finds arrays and text but nothing that runs."""
    from scipy.io import loadmat

    try:
        table: Any = loadmat(io.BytesIO(data), squeeze_me=True, variable_names=["synsets"])["synsets"]
    except Exception as error:  # of many kinds, for bytes that make no sense
        raise ValueError(f"{META} cannot be read") from error
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


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
