"""The folders that jobs and the dashboard may read images and weights from; all others are refused."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.problems import explain
from datamodules.sources import is_address
from jobs.problems import Place
from problems import InvalidValue
from tracking.layout import REPOSITORY
from tracking.store import Store

VARIABLE = "ARENA_DATA_ROOTS"
# Usual places for large data, allowed in addition to the home folder and this project.
USUAL = ("/data", "/datasets", "/mnt", "/media", "/scratch", "/srv", "/Volumes")


def allowed_roots() -> tuple[Path, ...]:
    """Return the folders that data may be read from, set in ARENA_DATA_ROOTS or the usual places."""
    named = [text for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text.strip()]
    places = named or [str(Path.home()), str(REPOSITORY), *USUAL]
    found = dict.fromkeys(Path(place).expanduser().resolve() for place in places)
    return tuple(root for root in found if root.is_dir())


def check_files(config: Mapping[str, Any]) -> None:
    """Check the places of a configuration's images, mean image and starting weights.

    Values that are not paths on this machine (addresses, names of runs) are not checked.

    Raises:
        InvalidValue: One of them is not in an allowed folder.
    """
    data = config.get("data") or {}
    root = str(data.get("root") or "")
    if root and not is_address(root):
        check_place(root)
    if mean_image := data.get("mean_image"):
        check_place(str(mean_image))
    if weights := (config.get("model") or {}).get("weights"):
        check_weights(str(weights))


def check_weights(weights: str) -> None:
    """Check the place of a file with starting weights; the checkpoints of this store are allowed as well.

    Args:
        weights: A file; ``torchvision`` and the name of a run are not checked.

    Raises:
        InvalidValue: The file is not in an allowed folder.
    """
    if len(Path(weights).parts) > 1:
        check_place(weights, Store.default().checkpoints.resolve())


def check_folder(text: str) -> Path:
    """Return the folder that a user has entered, with symbolic links resolved.

    Raises:
        InvalidValue: Nothing was entered, or the folder is not allowed, does not exist or cannot be read.
    """
    folder = check_place(text)
    try:
        is_there = folder.is_dir()
    except OSError as error:  # such as a parent folder without permission
        problem = explain(error)
        raise InvalidValue(problem.code or str(problem), **problem.values) from error
    if not is_there:
        raise InvalidValue(Place.NO_FOLDER, place=text.strip())
    return folder


def check_place(text: str, *more: Path) -> Path:
    """Return the path that a user has entered, with symbolic links resolved; it need not exist.

    Args:
        text: The text that was entered.
        more: Folders that are allowed in addition to `allowed_roots`.

    Raises:
        InvalidValue: Nothing was entered, or the path is not allowed.
    """
    text = text.strip()
    if not text:
        raise InvalidValue(Place.NOT_NAMED)
    try:
        typed = Path(text).expanduser()
        if "\0" in text or not typed.is_absolute():
            raise InvalidValue(Place.NOT_ABSOLUTE, place=text)
        folder = typed.resolve()
        # The two halves of a folder of images are often links themselves.
        places = {typed: folder, **{typed / half: (folder / half).resolve() for half in ("train", "val")}}
    except (OSError, RuntimeError) as error:
        raise InvalidValue(Place.UNRESOLVABLE, place=text) from error
    roots = allowed_roots()
    # Checked before any access, so that an error does not reveal what exists elsewhere on this machine.
    for place, real in places.items():
        if not any(real.is_relative_to(root) for root in (*roots, *more)):
            allowed = ", ".join(map(str, roots)) or "none"
            raise InvalidValue(Place.NOT_ALLOWED, place=place, allowed=allowed, variable=VARIABLE)
    return folder
