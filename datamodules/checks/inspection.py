"""Inspecting a single image file by reading it once, whatever it contains.

No file may stop a check or use more memory than a large photograph: pipes are not read, huge files and
pictures are skipped, and decoding is limited to a minute.
"""

import hashlib
import io
import os
import signal
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from datamodules.pixels.decoding import FORMATS, MAX_BYTES, STRIP_PIXELS, UNREADABLE, find_defect, strips
from datamodules.pixels.large import LARGE_PIXELS, admitted
from datamodules.problems import Defect, describe
from problems import Code

# Smaller files are kept in memory, so that they are read only once.
IN_MEMORY_BYTES = 2**26
# A progressive JPEG has about ten; each of them is a pass over the whole picture.
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
    """The result of reading an image.

    Attributes:
        size: Size of the file in bytes.
        changed_ns: Modification time of the file.
        digest: SHA-256 of the file, or of the pixels of an image without a file; empty if it was not read.
        fingerprint: Equal for equal pixels; empty if the image cannot be decoded.
        width: Width in pixels; 0 if unknown.
        height: Height in pixels; 0 if unknown.
        format: Format by content, such as ``JPEG``.
        mode: Pillow's pixel mode, such as ``RGB``.
        kinds: Keys of `datamodules.checks.kinds.KINDS` that apply.
        error: Why the image cannot be read, as a short phrase; empty if it can.
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
# Key of `datamodules.checks.kinds.KINDS` for images that cannot be decoded.
_KINDS: dict[Code, str] = {
    Defect.TOO_MANY_PIXELS: "bomb",
    Defect.NOT_AN_IMAGE: "no-image",
    Defect.TOO_SLOW: "slow",
    Defect.NO_MEMORY: "memory",
}
Histogram = NDArray[np.int64]


def inspect_file(path: str) -> tuple[Facts, Histogram | None]:
    """Read and decode a file.

    Args:
        path: Path of the file.

    Returns:
        The facts, and the counts of each value of red, green and blue (3 x 256); None in place of the counts
        if the file cannot be decoded.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return _unreadable(NOTHING, "unreadable", *find_defect(error)), None
    status = os.fstat(handle)
    facts = NOTHING._replace(size=status.st_size, changed_ns=status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        return _unreadable(facts, "no-file", Defect.NOT_A_FILE), None
    with os.fdopen(handle, "rb") as stream:
        if not status.st_size:
            return _unreadable(facts, "empty", Defect.EMPTY), None
        if status.st_size > MAX_BYTES:
            return _unreadable(facts, "large-file", Defect.TOO_MANY_BYTES, {"limit": MAX_BYTES}), None
        try:
            content, digest = _read(stream, status.st_size)
        except OSError as error:
            return _unreadable(facts, "unreadable", *find_defect(error)), None
        facts = facts._replace(digest=digest)
        if isinstance(content, io.BytesIO) and content.getvalue().count(b"\xff\xda") > MAX_SCANS:
            return _unreadable(facts, "slow", Defect.TOO_MANY_SCANS, {"limit": MAX_SCANS}), None
        return _decode(content, facts, os.path.splitext(path)[1].lower())  # noqa: PTH122 - not a path


def inspect_pixels(pixels: NDArray[np.uint8]) -> tuple[Facts, Histogram]:
    """Inspect an image without a file, height x width x 3."""
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
    """Return a fingerprint, which is equal for equal pixels, and the counts of each value of each channel.

    The fingerprint covers the size, the counts, and a version of the picture of at least 16 x 16 pixels: it
    is very unlikely to be equal for two photographs, and much faster than a digest of all pixels.
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
        code, values = find_defect(error)
        return _unreadable(facts, _KINDS.get(code) or _kind_of_text(error), code, values), None
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
    """Return a decoded picture, and whether it is damaged although Pillow decodes it without an error."""
    is_corrupt = False
    if (
        image.format in ("JPEG", "MPO")
        and image.mode in ("RGB", "L")
        and image.width * image.height <= STRIP_PIXELS
        and isinstance(content, io.BytesIO)
    ):
        try:
            return Image.fromarray(simplejpeg.decode_jpeg(content.getbuffer())), False
        except ValueError as error:  # simplejpeg offers nothing but libjpeg's text
            is_corrupt = "corrupt" in str(error).lower()
    image.load()
    return image, is_corrupt


def _is_flat(histogram: Histogram) -> bool:
    return bool((histogram.max(axis=1) == histogram.sum(axis=1)).all())


def _kind_of_text(error: BaseException) -> str:
    # Pillow raises the same OSError for truncated and for damaged files; only the text differs.
    return "truncated" if "truncated" in str(error).lower() else "damaged"


def _unreadable(facts: Facts, kind: str, code: Code, values: Mapping[str, Any] | None = None) -> Facts:
    return facts._replace(kinds=(kind,), error=describe(code, **values or {})[:200])


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after a number of seconds, if the system and the thread support it."""

    def give_up(signum: int, frame: object) -> None:
        raise TimeoutError

    try:
        before = signal.signal(signal.SIGALRM, give_up)
    except (ValueError, AttributeError):  # not in the main thread, or not supported by the system
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
