"""What can be wrong with images."""

import errno
import os
from pathlib import Path


class DataError(Exception):
    """The images are not there or not as they must be; one sentence says what would be right.

    A DataLoader raises it anew where a worker did, with a traceback for a message: the sentence is its end.
    """

    def __init__(self, message: str = "") -> None:
        if message.startswith("Caught ") and "\nOriginal Traceback" in message:
            message = message.rstrip().splitlines()[-1].partition(": ")[2]
        super().__init__(message)


def explain(error: OSError) -> str:
    """Returns what went wrong with a file or a disk in a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full; make room, then start the same command again."
    reason = error.strerror or str(error)
    return f"{printable(error.filename)}: {reason}." if error.filename else f"{reason}."


def printable(name: str | bytes | Path) -> str:
    r"""Returns a file's name for people: what is no text, such as a newline, becomes ``\n`` or ``\xff``."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
