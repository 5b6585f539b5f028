"""Fetches archives that everybody may have; what an earlier attempt got is kept and continued."""

import http.client
import urllib.request
from pathlib import Path

from datamodules.downloads.archives import Archive, check_archive
from datamodules.errors import DataError
from datamodules.progress import Progress

CHUNK_BYTES = 2**16
TIMEOUT_S = 30
PARTIAL = 206


def download(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Fetches an archive that is not in the folder yet, and checks it either way.

    Raises:
        DataError: It cannot be fetched, or is not the published one.
    """
    file = folder / archive.name
    if file.exists():
        return check_archive(archive, folder, progress)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{archive.name}.part"
    try:
        _fetch(str(archive.url), part, progress)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{archive.url} cannot be fetched ({reason}); try again online, or name a folder that holds "
            f"{archive.name} with --archives."
        ) from error
    part.replace(file)
    try:
        return check_archive(archive, folder, progress)
    except DataError:
        file.unlink()
        raise


def _fetch(url: str, part: Path, progress: Progress) -> None:
    part.touch()
    # The last byte once more: a server that has nothing left to give answers with an error.
    start = max(0, part.stat().st_size - 1)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response, part.open("r+b") as stream:
        start = start if response.status == PARTIAL else 0
        stream.truncate(start)
        stream.seek(start)
        total = None if response.length is None else start + response.length
        progress.begin(f"Downloading {url.rpartition('/')[2]}", total, "bytes", done=start)
        while chunk := response.read(CHUNK_BYTES):
            stream.write(chunk)
            progress.advance(len(chunk))
    if total is not None and progress.done < total:
        raise ConnectionError(f"the connection broke after {progress.done:,} of {total:,} bytes")
