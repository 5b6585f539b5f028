"""Checkpoint files that are complete or absent: a crash or a full disk never damages the previous one."""

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from lightning_fabric.plugins import CheckpointIO

from problems import InvalidValue
from tracking.problems import StoreUnavailable
from training.problems import BadCheckpoint

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
# A checkpoint is complete if this file has its digest, under any name, so that there is a complete one also
# between two renames. Earlier digests are kept in case a crash prevents the newest file from being renamed.
DIGESTS = "sha256.txt"

_HISTORY = 3
_BLOCK_BYTES = 2**22


class CheckpointFiles(CheckpointIO):
    """Lightning's access to checkpoints: atomic writes with a digest, and reads that run no code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Write a checkpoint; see `write`."""
        write(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; see `read`."""
        return read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def write(checkpoint: dict[str, Any], file: Path) -> None:
    """Write a checkpoint; the former `LAST` becomes `PREVIOUS`.

    Raises:
        StoreUnavailable: It cannot be written; the former ones still exist.
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
            raise  # not an error of the disk, for example a loader process that died meanwhile
        raise StoreUnavailable(BadCheckpoint.NOT_WRITTEN, file=file, said=_reason(error)) from error


def read(file: Path) -> dict[str, Any]:
    """Read a checkpoint into main memory. Code in it is never run.

    Raises:
        InvalidValue: It is missing, not a checkpoint, or more than data.
    """
    try:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidValue(BadCheckpoint.HAS_CODE, file=file) from error
    except (OSError, RuntimeError, EOFError) as error:
        raise InvalidValue(BadCheckpoint.UNREADABLE, file=file, said=_reason(error)) from error
    return content


def find_newest(folder: Path) -> tuple[Path | None, list[Path]]:
    """Find the newest checkpoint of a run that is complete.

    Returns:
        The file, None if there is none, and the newer ones that are damaged.
    """
    digests = {digest for digest, _ in _read_digests(folder)}
    damaged: list[Path] = []
    for name in (LAST, PREVIOUS):
        file = folder / name
        if not file.is_file():
            continue
        if _digest_of(file) in digests:
            return file, damaged
        damaged.append(file)
    return None, damaged


def keep_one(folder: Path) -> None:
    """Delete the checkpoint that only a resumed run needs."""
    (folder / PREVIOUS).unlink(missing_ok=True)


class _Hashing:
    """A file that computes the digest of what is written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self.flush: Callable[[], None] = stream.flush
        self._stream = stream

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._stream.write(data)


def _add_digest(file: Path, digest: str) -> None:
    """Add the digest of a file that is about to be renamed."""
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
    """Return digests and names, the newest of each name last."""
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
    """Write renames to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _reason(error: BaseException) -> str:
    """Return the error of the file system, which torch hides behind an error of its own."""
    cause = _os_error(error)
    if cause is not None and cause.strerror:
        return cause.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _os_error(error: BaseException) -> OSError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause
