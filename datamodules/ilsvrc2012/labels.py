"""The order of ImageNet's labels, and the labels of its validation images, from two files in this folder.

A label is the index of its wnid (a WordNet ID) among the sorted wnids, as usual. Only the challenge's own
files number the classes differently, by ILSVRC2012_ID: a network trained with a mixture of the two would
learn nothing. The constants below are the ``sha256sum`` of the two files.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
WNIDS_SHA256 = "385e0240499426c022b773be1ae4da780f057b89c9694c7f47199f62746b6edd"
VAL_LABELS_SHA256 = "098d797749a19d2c76f3243494b4d38079446eab41f3b8775212a33e4558a35f"
WNID = re.compile(r"n\d{8}", re.ASCII)


@cache
def wnids() -> tuple[str, ...]:
    """Return the wnids of the 1,000 classes in the order of the labels."""
    return tuple((FOLDER / "wnids.txt").read_text(encoding="ascii").split())


@cache
def val_labels() -> tuple[int, ...]:
    """Return the labels of ILSVRC2012_val_00000001.JPEG to ..._00050000.JPEG."""
    return tuple(map(int, (FOLDER / "val_labels.txt").read_text(encoding="ascii").split()))


def hash_wnids(names: Sequence[str]) -> str:
    """Return the SHA-256 of wnids, one per line, without a newline at the end."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def hash_labels(labels: Sequence[int]) -> str:
    """Return the SHA-256 of labels, one per line."""
    return hashlib.sha256("".join(f"{label}\n" for label in labels).encode()).hexdigest()
