"""Where images and weights may lie: no job, and nobody at the page, reads from elsewhere on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.problems import explain
from datamodules.sources import is_address
from tracking.layout import REPOSITORY
from tracking.store import Store

VARIABLE = "ARENA_DATA_ROOTS"
# Besides the home and this project: where machines usually keep what is too large for a home.
USUAL = ("/data", "/datasets", "/mnt", "/media", "/scratch", "/srv", "/Volumes")


def allowed_roots() -> tuple[Path, ...]:
    """Give the folders in which data may lie: those of ARENA_DATA_ROOTS, or the home and the usual places."""
    named = [text for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text.strip()]
    places = named or [str(Path.home()), str(REPOSITORY), *USUAL]
    found = dict.fromkeys(Path(place).expanduser().resolve() for place in places)
    return tuple(root for root in found if root.is_dir())


def check_files(config: Mapping[str, Any]) -> None:
    """Check where the images of a configuration lie, the image it subtracts, and the weights it starts from.

    What no path on this machine names (an address, a run) lies elsewhere.

    Raises:
        ValueError: They lie elsewhere than they may; one sentence.
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
    """Check where the file of starting weights lies; a checkpoint of this store may be named, too.

    Args:
        weights: A file, or what is none: ``torchvision`` or a run.

    Raises:
        ValueError: It lies elsewhere than it may; one sentence.
    """
    if len(Path(weights).parts) > 1:
        check_place(weights, Store.default().checkpoints.resolve())


def check_folder(text: str) -> Path:
    """Find the folder that somebody has named, symbolic links followed, wherever that may lead.

    Raises:
        ValueError: Nothing is named, the folder lies elsewhere than it may, or is not there or hidden; one
            sentence.
    """
    folder = check_place(text)
    try:
        is_there = folder.is_dir()
    except OSError as error:  # such as a folder above it that one may not look into
        raise ValueError(explain(error)) from error
    if not is_there:
        raise ValueError(f"There is no folder {text.strip()}.")
    return folder


def check_place(text: str, *more: Path) -> Path:
    """Find the place that somebody has named, which need not exist yet, as `check_folder` does.

    Args:
        text: What was typed.
        more: Folders in which it may lie besides `allowed_roots`.

    Raises:
        ValueError: Nothing is named, or the place lies elsewhere than it may; one sentence.
    """
    if not text.strip():
        raise ValueError("Name a folder on the machine that trains.")
    try:
        typed = Path(text.strip()).expanduser()
        if "\0" in text or not typed.is_absolute():
            raise ValueError(f"{text.strip()!r} is not a full path; begin with / or ~.")
        folder = typed.resolve()
        # The two halves of a folder of images are often links themselves.
        places = {typed: folder, **{typed / half: (folder / half).resolve() for half in ("train", "val")}}
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{text.strip()} leads nowhere: no such home, or a link to itself.") from error
    roots = allowed_roots()
    # Before anything is looked up: nobody learns here what there is elsewhere on this machine.
    for place, real in places.items():
        if not any(real.is_relative_to(root) for root in (*roots, *more)):
            allowed = ", ".join(map(str, roots)) or "nowhere"
            raise ValueError(
                f"{place} is not in a place that data may be read from ({allowed}); "
                f"set {VARIABLE}, before the dashboard starts, to allow others."
            )
    return folder
