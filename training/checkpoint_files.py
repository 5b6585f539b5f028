"""Checkpoint files that are whole or not there: a crash or a full disk never costs the one before."""

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from lightning_fabric.plugins import CheckpointIO

from tracking.problems import StoreUnavailable

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
# A file is whole if its digest is in there, under whatever name: so there is no moment, between two
# renamings, in which none is. Some history is kept, for the case that a crash keeps the newest from its name.
DIGESTS = "sha256.txt"

_HISTORY = 3
_BLOCK_BYTES = 2**22


class CheckpointFiles(CheckpointIO):
    """How Lightning writes and reads: beside the target, to the disk, with a digest, and never any code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Writes a checkpoint; see `write`."""
        write(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint; see `read`."""
        return read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Deletes a checkpoint."""
        Path(path).unlink(missing_ok=True)


def write(checkpoint: dict[str, Any], file: Path) -> None:
    """Writes a checkpoint; what was `LAST` becomes `PREVIOUS`.

    Raises:
        StoreUnavailable: It cannot be written; what was there before is still there.
    """
    partial = file.with_name(f"{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            hashing = _Hashing(stream)
            torch.save(checkpoint, cast(BinaryIO, hashing))
            stream.flush()
            os.fsync(stream.fileno())
        _add_digest(file, hashing.digest.hexdigest())
        if file.name == LAST and file.exists():
            file.replace(file.with_name(PREVIOUS))
        partial.replace(file)
        _sync_folder(file.parent)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        if _os_error(error) is None:
            raise  # no fault of the disk: such as a loader process that died meanwhile
        raise StoreUnavailable(
            f"The checkpoint {file} cannot be written ({_reason(error)}); what was saved before is still "
            f"there. Make room and resume the run."
        ) from error


def read(file: Path) -> dict[str, Any]:
    """Reads a checkpoint into main memory; no code in it is ever run.

    Raises:
        ValueError: It is missing, no checkpoint, or more than data.
    """
    try:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{file} is refused: reading it would run code that is inside it.") from error
    except (OSError, RuntimeError, EOFError) as error:
        raise ValueError(f"{file} is not a checkpoint that can be read ({_reason(error)}).") from error
    return content


def find_newest(folder: Path) -> tuple[Path | None, list[str]]:
    """Looks for the newest checkpoint of a run that is whole.

    Returns:
        The file, None if there is none, and a sentence about each newer one that is damaged.
    """
    digests = {digest for digest, _ in _read_digests(folder)}
    complaints: list[str] = []
    for name in (LAST, PREVIOUS):
        file = folder / name
        if not file.is_file():
            continue
        if _digest_of(file) in digests:
            return file, complaints
        complaints.append(f"{file} is damaged: it is not what was written.")
    return None, complaints


def keep_one(folder: Path) -> None:
    """Deletes what only a run that goes on needs."""
    (folder / PREVIOUS).unlink(missing_ok=True)


class _Hashing:
    """A file that knows the digest of what was written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self.flush: Callable[[], None] = stream.flush
        self._stream = stream

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._stream.write(data)


def _add_digest(file: Path, digest: str) -> None:
    """Replaces the list by one that also knows a file which is about to get its name."""
    known = _read_digests(file.parent)
    others = [line for line in known if line[1] != file.name]
    history = [line for line in known if line[1] == file.name][1 - _HISTORY :]
    partial = file.with_name(f"{DIGESTS}.partial")
    with partial.open("w", encoding="ascii") as stream:
        stream.writelines(f"{digest}  {name}\n" for digest, name in [*others, *history, (digest, file.name)])
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file.with_name(DIGESTS))


def _read_digests(folder: Path) -> list[tuple[str, str]]:
    """Digests and names, the newest of each name last."""
    try:
        lines = (folder / DIGESTS).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [(digest, name) for digest, _, name in (line.partition("  ") for line in lines)]


def _digest_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Puts renamings on the disk, too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _reason(error: BaseException) -> str:
    """What the file system said; torch hides it behind a complaint of its own."""
    cause = _os_error(error)
    if cause is not None and cause.strerror:
        return cause.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _os_error(error: BaseException) -> OSError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause
