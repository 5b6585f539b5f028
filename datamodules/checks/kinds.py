"""What can be odd about an image, and what that means for training."""

from typing import NamedTuple

from datamodules.checks.reports import Severity
from datamodules.pixels.decoding import MAX_BYTES
from datamodules.pixels.large import MAX_PIXELS


class Kind(NamedTuple):
    """One kind of oddity: how grave it is, and a sentence."""

    severity: Severity
    text: str


# In the order in which they are told. Numbered by their place in reports of interrupted checks.
KINDS: dict[str, Kind] = {
    "unreadable": Kind(
        "error", "Files that cannot be opened or read from the disk; training leaves them out."
    ),
    "empty": Kind("error", "Empty files; training leaves them out."),
    "truncated": Kind("error", "Images that are cut off; training leaves them out."),
    "no-image": Kind("error", "Files that are no images of a known format; training leaves them out."),
    "damaged": Kind("error", "Damaged images; training leaves them out."),
    "bomb": Kind("error", f"Images of more than {MAX_PIXELS:,} pixels; training leaves them out."),
    "large-file": Kind(
        "error", f"Files of more than {MAX_BYTES:,} bytes, which were not read; training leaves them out."
    ),
    "slow": Kind("error", "Images that take more than a minute to decode; remove them."),
    "memory": Kind("error", "Images that take more than 600 MB to decode; remove them."),
    "crash": Kind("error", "Images at which the decoder crashes; remove them, training would crash as well."),
    "no-file": Kind("error", "Pipes, devices or folders in the place of files; training leaves them out."),
    "corrupt": Kind("warning", "JPEGs with damaged data inside; they are shown, in part grey or displaced."),
    "flat": Kind("warning", "Images of a single colour, such as a notice that a picture is gone."),
    "huge": Kind("warning", "Images of more than 16 megapixels; they slow reading down, a pack helps."),
    "deep": Kind("warning", "Images of 16 or more bits a channel; their upper 8 bits are used."),
    "suffix": Kind("note", "Files of another format than their name says; the content counts."),
    "cmyk": Kind("note", "Images in CMYK or another colour space; they become RGB."),
    "grey": Kind("note", "Grey images; they become RGB of three equal channels."),
    "transparent": Kind("note", "Images with transparent parts; the transparency is dropped."),
    "animated": Kind("note", "Animated images; the first picture counts."),
    "rotated": Kind("note", "Images whose metadata ask to be rotated; the network sees them as they lie."),
    "metadata": Kind("note", "Images with broken metadata, which nobody looks at."),
}
