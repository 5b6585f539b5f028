"""What one image file is, found out by reading it once, whatever it turns out to be.

Nothing that lies in a folder may stop a check or take more memory than a large photograph: pipes are not
waited for, files and pictures of absurd size are left alone, and a picture that takes minutes is given up.
"""

import hashlib
import io
import os
import signal
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from datamodules.pixels.decoding import FORMATS, MAX_BYTES, STRIP_PIXELS, UNREADABLE, reason, strips
from datamodules.pixels.large import LARGE_PIXELS, TooLarge, admitted

# Up to here a file is read into memory, so that it is read once.
IN_MEMORY_BYTES = 2**26
# A progressive JPEG has ten or so; each costs a pass over the whole picture.
MAX_SCANS = 500
MAX_SECONDS = 60.0
LAYOUT = 16
ORIENTATION = 0x0112
SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **{".png": "PNG", ".gif": "GIF", ".bmp": "BMP", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"},
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **{".jp2": "JPEG2000", ".avif": "AVIF"},
}


class Facts(NamedTuple):
    """What is known of an image once it was read.

    Attributes:
        size: Of the file in bytes.
        changed_ns: When the file was last changed.
        digest: SHA-256 of the file, or of the pixels of an image that is none; empty if it was not read.
        fingerprint: Equal for equal pixels; empty if it cannot be decoded.
        width: In pixels; 0 if unknown.
        height: The same.
        format: By content, such as ``JPEG``.
        mode: Pillow's word for its kind of pixel, such as ``RGB``.
        kinds: Of what is odd about it, keys of `datamodules.checks.kinds.KINDS`.
        error: Why it cannot be read, in a few words; empty if it can.
    """

    size: int
    changed_ns: int
    digest: bytes
    fingerprint: bytes
    width: int
    height: int
    format: str
    mode: str
    kinds: tuple[str, ...]
    error: str


NOTHING = Facts(0, 0, b"", b"", 0, 0, "", "", (), "")
Histogram = NDArray[np.int64]


def inspect_file(path: str) -> tuple[Facts, Histogram | None]:
    """Reads a file and decodes it.

    Args:
        path: Of a file that may be anything.

    Returns:
        What it is, and how often each value of red, green and blue occurs (3 x 256); None if it cannot be
        decoded.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return _unreadable(NOTHING, "unreadable", reason(error)), None
    status = os.fstat(handle)
    facts = NOTHING._replace(size=status.st_size, changed_ns=status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        return _unreadable(facts, "no-file", "no regular file"), None
    with os.fdopen(handle, "rb") as stream:
        if not status.st_size:
            return _unreadable(facts, "empty", "0 bytes"), None
        if status.st_size > MAX_BYTES:
            return _unreadable(facts, "large-file", f"{status.st_size:,} bytes"), None
        try:
            content, digest = _read(stream, status.st_size)
        except OSError as error:
            return _unreadable(facts, "unreadable", reason(error)), None
        facts = facts._replace(digest=digest)
        if isinstance(content, io.BytesIO) and content.getvalue().count(b"\xff\xda") > MAX_SCANS:
            return _unreadable(facts, "slow", "too many passes over the picture"), None
        return _decode(content, facts, os.path.splitext(path)[1].lower())  # noqa: PTH122 - not a path


def inspect_pixels(pixels: NDArray[np.uint8]) -> tuple[Facts, Histogram]:
    """Looks at an image that is no file, height x width x 3."""
    image = Image.fromarray(pixels)
    fingerprint, histogram = look_at(image)
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    kinds = ("flat",) if _is_flat(histogram) else ()
    facts = NOTHING._replace(
        digest=digest.digest(),
        fingerprint=fingerprint,
        width=image.width,
        height=image.height,
        mode="RGB",
        kinds=kinds,
    )
    return facts, histogram


def look_at(image: Image.Image) -> tuple[bytes, Histogram]:
    """Returns what is equal for equal pixels, and how often each value of each channel occurs.

    The former takes in the size, the latter, and a picture of at least 16 x 16: all but impossible to be
    the same for two photographs, and far cheaper than every pixel.
    """
    width, height = image.size
    print_ = hashlib.sha256(f"{width} x {height}".encode())
    total = np.zeros((3, 256), dtype=np.int64)
    for _, strip in strips(image):
        histogram = np.array(strip.histogram(), dtype=np.int64).reshape(3, 256)
        total += histogram
        print_.update(histogram.data)
        print_.update(strip.reduce((max(1, width // LAYOUT), max(1, strip.height // LAYOUT))).tobytes())
    return print_.digest()[:16], total


def _read(stream: io.BufferedReader, size: int) -> tuple[IO[bytes], bytes]:
    if size <= IN_MEMORY_BYTES:
        content = stream.read(IN_MEMORY_BYTES + 1)
        return io.BytesIO(content), hashlib.sha256(content).digest()
    digest = hashlib.file_digest(stream, "sha256").digest()
    stream.seek(0)
    return stream, digest


def _decode(content: IO[bytes], facts: Facts, suffix: str) -> tuple[Facts, Histogram | None]:
    try:
        with warnings.catch_warnings(), _limited(MAX_SECONDS):
            warnings.simplefilter("ignore")
            with Image.open(content, formats=FORMATS) as image:
                kind = "JPEG" if image.format == "MPO" else image.format or ""
                facts = facts._replace(width=image.width, height=image.height, format=kind, mode=image.mode)
                with admitted(image.height, image.width):
                    odd = list(_list_oddities(image, kind, suffix))
                    decoded, is_corrupt = _decode_strictly(image, content)
                    odd += ["corrupt"] * is_corrupt
                    fingerprint, histogram = look_at(decoded)
    except UNREADABLE as error:
        return _unreadable(facts, _kind_of(error), reason(error)), None
    if _is_flat(histogram):
        odd.append("flat")
    return facts._replace(fingerprint=fingerprint, kinds=tuple(odd)), histogram


def _list_oddities(image: Image.Image, kind: str, suffix: str) -> Iterator[str]:
    if SUFFIXES.get(suffix) != kind:
        yield "suffix"
    if image.mode in ("CMYK", "LAB", "YCbCr"):
        yield "cmyk"
    if image.mode in ("L", "1", "LA"):
        yield "grey"
    if image.mode.startswith(("I", "F")):
        yield "deep"
    if image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info:
        yield "transparent"
    try:
        if image.getexif().get(ORIENTATION, 1) not in (0, 1):
            yield "rotated"
    except (*UNREADABLE, KeyError, TypeError, IndexError, ZeroDivisionError):
        yield "metadata"
    if image.format != "MPO" and getattr(image, "is_animated", False):
        yield "animated"
        image.seek(0)
    if image.width * image.height > LARGE_PIXELS:
        yield "huge"


def _decode_strictly(image: Image.Image, content: IO[bytes]) -> tuple[Image.Image, bool]:
    """Returns a decoded picture, and whether Pillow has shown damaged data as if nothing were wrong."""
    is_corrupt = False
    if (
        image.format in ("JPEG", "MPO")
        and image.mode in ("RGB", "L")
        and image.width * image.height <= STRIP_PIXELS
        and isinstance(content, io.BytesIO)
    ):
        try:
            return Image.fromarray(simplejpeg.decode_jpeg(content.getbuffer())), False
        except ValueError as error:
            is_corrupt = "corrupt" in str(error).lower()
    image.load()
    return image, is_corrupt


def _is_flat(histogram: Histogram) -> bool:
    return bool((histogram.max(axis=1) == histogram.sum(axis=1)).all())


def _kind_of(error: BaseException) -> str:
    if isinstance(error, Image.DecompressionBombError | TooLarge):
        return "bomb"
    if isinstance(error, UnidentifiedImageError):
        return "no-image"
    if isinstance(error, TimeoutError):
        return "slow"
    if isinstance(error, MemoryError):
        return "memory"
    return "truncated" if "truncated" in str(error).lower() else "damaged"


def _unreadable(facts: Facts, kind: str, why: str) -> Facts:
    return facts._replace(kinds=(kind,), error=why[:200])


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after so many seconds, where the system and the thread allow it."""

    def give_up(signum: int, frame: object) -> None:
        raise TimeoutError(f"not decoded after {seconds:g} s")

    try:
        before = signal.signal(signal.SIGALRM, give_up)
    except (ValueError, AttributeError):  # not in the main thread, or on a system without
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
