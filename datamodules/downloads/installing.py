"""Small data sets that everybody may download: fetched, checked and unpacked in one go."""

import re
import tarfile
from pathlib import Path

from datamodules.downloads.archives import Archive, check_space, list_files, locked, unpack
from datamodules.downloads.downloading import download
from datamodules.errors import DataError
from datamodules.progress import Progress


def install(
    archive: Archive,
    name: str,
    wanted: re.Pattern[str],
    root: Path,
    archives: Path | None,
    progress: Progress,
) -> None:
    """Unpacks an archive whose files all lie in one folder, which appears when it is whole.

    Args:
        archive: As published.
        name: Of the folder within the archive.
        wanted: What of it to unpack.
        root: Where the folder goes.
        archives: Where the archive lies or is to be kept; it is removed after unpacking if None.
        progress: Is told what happens.

    Raises:
        DataError: The archive cannot be fetched, or is damaged, or the disk too small.
    """
    with locked(root):
        target = root / name
        if not target.exists():
            file = download(archive, archives or root, progress)
            _unpack_all(file, name, wanted, root, progress)
            if archives is None:
                file.unlink()
        progress.say(f"{target} is ready.")


def inner(root: Path, name: str) -> Path:
    """Returns the folder that an archive unpacks to, whether one names it or the one it lies in."""
    return root / name if (root / name).is_dir() else root


def _unpack_all(file: Path, name: str, wanted: re.Pattern[str], root: Path, progress: Progress) -> None:
    check_space(root, file.stat().st_size)
    progress.begin(f"Unpacking {file.name}", file.stat().st_size, "bytes")
    part = root / f".{name}.part"
    try:
        # The place in the compressed file says how far we are.
        with file.open("rb") as stream, tarfile.open(file, "r:gz", fileobj=stream) as tar:
            for member in list_files(tar, wanted):
                place = part / Path(member.name).relative_to(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                unpack(tar, member, place)
                progress.advance(stream.tell() - progress.done)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"{file} is damaged: {error}; download it again.") from error
    if not part.exists():
        raise DataError(f"{file} holds no folder {name} with images; it is another archive.")
    part.rename(root / name)
