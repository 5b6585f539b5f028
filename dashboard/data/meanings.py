"""What the classes of ImageNet mean, in WordNet's words."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from timm.data.imagenet_info import ImageNetInfo

WNID = re.compile(r"n\d{8}")


class Meaning(NamedTuple):
    """A synset of WordNet: its words and their definition, both empty where the class is none."""

    words: str = ""
    gloss: str = ""


def meanings(class_names: Sequence[str]) -> list[Meaning]:
    """Give the meaning of each class that is called as WordNet numbers its synsets, such as n01440764."""
    return [_meaning(name) if WNID.fullmatch(name) else Meaning() for name in class_names]


def class_label(name: str, meaning: Meaning) -> str:
    """Name a class as people would: its first word in WordNet, or what it is called."""
    return meaning.words.partition(",")[0] or name


@lru_cache(maxsize=65536)
def _meaning(wnid: str) -> Meaning:
    try:
        words = _info().label_name_to_description(wnid)
        detailed = _info().label_name_to_description(wnid, detailed=True)
    except KeyError:  # eight digits, but none of WordNet's nouns
        return Meaning()
    return Meaning(words, detailed.removeprefix(f"{words}: "))


@lru_cache(maxsize=1)
def _info() -> "ImageNetInfo":
    from timm.data.imagenet_info import ImageNetInfo

    return ImageNetInfo()
