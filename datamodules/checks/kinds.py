"""Kinds of unreadable or unusual images, and their effect on training."""

from typing import NamedTuple

from datamodules.checks.reports import Severity
from datamodules.pixels.decoding import MAX_BYTES
from datamodules.pixels.large import MAX_PIXELS


class Kind(NamedTuple):
    """A kind of finding: its severity, and a sentence."""

    severity: Severity
    text: str


# In the order in which they are reported. The files of interrupted checks contain the indices.
KINDS: dict[str, Kind] = {
    "unreadable": Kind(
        "error", "Files that cannot be opened or read from the disk; training leaves them out."
    ),
    "empty": Kind("error", "Empty files; training leaves them out."),
    "truncated": Kind("error", "Truncated images; training leaves them out."),
    "no-image": Kind("error", "Files that are not images of a known format; training leaves them out."),
    "damaged": Kind("error", "Damaged images; training leaves them out."),
    "bomb": Kind("error", f"Images of more than {MAX_PIXELS:,} pixels; training leaves them out."),
    "large-file": Kind(
        "error", f"Files of more than {MAX_BYTES:,} bytes, which were not read; training leaves them out."
    ),
    "slow": Kind("error", "Images that take more than a minute to decode; remove them."),
    "memory": Kind("error", "Images that take more than 600 MB to decode; remove them."),
    "crash": Kind("error", "Images that crash the decoder; remove them, since training would also crash."),
    "no-file": Kind("error", "Pipes, devices or folders in place of files; training leaves them out."),
    "corrupt": Kind(
        "warning", "JPEGs with damaged data; they are used, although parts are grey or displaced."
    ),
    "flat": Kind("warning", "Images of a single colour, such as a placeholder for a missing picture."),
    "huge": Kind(
        "warning", "Images of more than 16 megapixels; they are slow to read, unless they are packed."
    ),
    "deep": Kind("warning", "Images of 16 or more bits per channel; only their upper 8 bits are used."),
    "suffix": Kind("note", "Files whose format does not match their name; they are used."),
    "cmyk": Kind("note", "Images in CMYK or another colour space; they are converted to RGB."),
    "grey": Kind("note", "Greyscale images; they are converted to RGB."),
    "transparent": Kind("note", "Images with transparent parts; the transparency is ignored."),
    "animated": Kind("note", "Animated images; only the first picture is used."),
    "rotated": Kind("note", "Images to be rotated according to their metadata; they are used unrotated."),
    "metadata": Kind("note", "Images with invalid metadata, which are ignored."),
}
