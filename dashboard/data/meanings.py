"""What the classes of ImageNet mean, in WordNet's words."""

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

WNID = re.compile(r"n\d{8}")


class Meaning(NamedTuple):
    """A synset of WordNet: its words and their definition, both empty where the class is none."""

    words: str = ""
    gloss: str = ""


def meanings(class_names: Sequence[str]) -> list[Meaning]:
    """Return the meaning of each class that is called as WordNet numbers its synsets, such as n01440764."""
    return [_meaning(name) if WNID.fullmatch(name) else Meaning() for name in class_names]


def class_label(name: str, meaning: Meaning) -> str:
    """Name a class as people would: its first word in WordNet, or what it is called."""
    return meaning.words.partition(",")[0] or name


def _meaning(wnid: str) -> Meaning:
    words, glosses = _wordnet()
    return Meaning(words.get(wnid, ""), glosses.get(wnid, ""))


@lru_cache(maxsize=1)
def _wordnet() -> tuple[dict[str, str], dict[str, str]]:
    """Read words and definitions by wnid from timm's files: importing timm takes a thousand times as long."""
    found = find_spec("timm")
    if found is None or not found.submodule_search_locations:
        return {}, {}
    folder = Path(found.submodule_search_locations[0]) / "data" / "_info"
    words, glosses = (folder / f"imagenet_synset_to_{what}.txt" for what in ("lemma", "definition"))
    return _read(words), _read(glosses)


def _read(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8", newline="") as lines:
        return {row[0]: row[1] for row in csv.reader(lines, delimiter="\t") if len(row) == 2}
