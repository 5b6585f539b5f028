"""Downloading public archives; interrupted downloads are resumed."""

import http.client
import urllib.request
from pathlib import Path

from datamodules.downloads.archives import Archive, check_archive
from datamodules.problems import Archives, DataError
from datamodules.progress import Progress

CHUNK_BYTES = 2**16
TIMEOUT_S = 30
PARTIAL = 206


def download(archive: Archive, folder: Path, progress: Progress) -> Path:
    """Download an archive unless it is in the folder already, and check it.

    Raises:
        DataError: It cannot be downloaded, or is not the published one.
    """
    file = folder / archive.name
    if file.exists():
        return check_archive(archive, folder, progress)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{archive.name}.part"
    try:
        _fetch(str(archive.url), part, progress)
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "reason", None) or error
        raise DataError(Archives.NOT_FETCHED, url=archive.url, said=str(said), name=archive.name) from error
    part.replace(file)
    try:
        return check_archive(archive, folder, progress)
    except DataError:
        file.unlink()
        raise


def _fetch(url: str, part: Path, progress: Progress) -> None:
    part.touch()
    # Request the last byte again: if nothing is left, the server would answer with an error.
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
        raise DataError(Archives.BROKEN_OFF, url=url, done=progress.done, total=total)
