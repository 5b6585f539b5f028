"""Installing small public data sets: download, check and unpack."""

import re
import tarfile
from pathlib import Path

from datamodules.downloads.archives import Archive, check_space, list_files, locked, unpack
from datamodules.downloads.downloading import download
from datamodules.problems import Archives, DataError
from datamodules.progress import Progress


def install(
    archive: Archive,
    name: str,
    wanted: re.Pattern[str],
    root: Path,
    archives: Path | None,
    progress: Progress,
) -> None:
    """Unpack an archive with a single folder, which gets its name when it is complete.

    Args:
        archive: The published archive.
        name: Folder in the archive.
        wanted: Pattern of the files to unpack.
        root: Where to create the folder.
        archives: Folder for the archive; if None, it is downloaded into the root and removed after unpacking.
        progress: Shows the progress.

    Raises:
        DataError: The archive cannot be downloaded or is damaged, or the disk is too small.
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
    """Return the folder of an unpacked archive, if the root is that folder or its parent."""
    return root / name if (root / name).is_dir() else root


def _unpack_all(file: Path, name: str, wanted: re.Pattern[str], root: Path, progress: Progress) -> None:
    check_space(root, file.stat().st_size)
    progress.begin(f"Unpacking {file.name}", file.stat().st_size, "bytes")
    part = root / f".{name}.part"
    try:
        # The progress is the position in the compressed file.
        with file.open("rb") as stream, tarfile.open(file, "r:gz", fileobj=stream) as tar:
            for member in list_files(tar, wanted):
                place = part / Path(member.name).relative_to(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                unpack(tar, member, place)
                progress.advance(stream.tell() - progress.done)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(Archives.DAMAGED, file=file, said=str(error)) from error
    if not part.exists():
        raise DataError(Archives.NO_IMAGES, file=file, name=name)
    part.rename(root / name)
