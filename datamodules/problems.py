"""What can be wrong with images, with the files that hold them, and with what is asked of them."""

import errno
import os
from collections.abc import Sequence
from enum import unique
from pathlib import Path
from typing import Any

from problems import Code, Problem


@unique
class Argument(Code):
    """An argument or option that is invalid."""

    TOO_SMALL = "{name} is {value}; it must be {smallest} or more."
    OUT_OF_RANGE = "{name} is {value}; it must be from {smallest} to {largest:,}."
    BAD_SHARE = (
        "{name} is {value}; it must be a share of the images (below 1) or a number of them (1 or more)."
    )
    NO_SOURCE = "There is no data source {key!r}; choose one of: {known}."
    HAS_NO_ROOT = "The data source {source} has its own images; leave the root out."
    NO_AUGMENTATION = "There is no augmentation {name!r}; choose one of: {known}."
    NO_CLASS = "There is no class {name!r}; this source has {some}."
    TOO_MANY_CLASSES = (
        "The number of classes is {value}; it must be from 2 to {number}, as many as this source has."
    )
    CLASS_TWICE = "The class {name} is listed twice in classes; list it once."
    TOO_FEW_CLASSES = "A classifier needs two or more classes, but classes lists {number}."


@unique
class Reading(Code):
    """A file or a disk that cannot be used."""

    FAILED = "{file} cannot be used: {said}."
    FAILED_SOMEWHERE = "{said}."
    DISK_FULL = "The disk is full; free some space, then start the same command again."
    TOO_LARGE = "{file} has more than {limit:,} bytes, which is too large for a file of its kind."
    INDEX_GONE = "The list of files in {folder} is missing or damaged; start again to rebuild it."
    BAD_MEAN_IMAGE = (
        "{file} is not a mean image of floats, 3 x {size} x {size}; `python -m datamodules mean` with "
        "--image_size {size} writes one."
    )


@unique
class Root(Code):
    """A root that does not hold the images of its source."""

    NOT_NAMED = "Set root to {wanted}."
    MISSING = "There is no folder {root}; set root to {wanted}."
    NO_ADDRESSES = (
        "The source {source} reads a folder, not an address such as {root}; the source litdata reads "
        "addresses."
    )
    NO_SPLIT = "There is no folder {folder}; images belong in train/<class>/ and val/<class>/."
    NO_CLASSES = "{folder} has no class folders; images belong in {name}/<class>/."
    ONE_CLASS = "{folder} has only the class {name}; a classifier needs two or more."
    EMPTY_CLASS = "The class folder {folder} has no images; fill or remove it."
    CLASSES_DIFFER = (
        "{root} has classes in {split}/ that are not in {other}/ ({some}); both need the same classes."
    )
    NOT_CIFAR10 = (
        "{root} does not hold CIFAR-10's binary version, {name}/*.bin; `python -m datamodules prepare "
        "cifar10 --root {root}` downloads it."
    )
    NOT_UNPACKED = (
        "{root} is not completely unpacked; `python -m datamodules prepare imagenet --archives DIR --root "
        "{root}` continues where it stopped."
    )
    NOT_IMAGENET = (
        "{root} has {number:,} classes and lacks {missing:,} of ImageNet's 1,000; choose the source folder "
        "for it."
    )
    NO_ANNOTATIONS = (
        "{folder} has no val/{name}; choose the source folder if the images in val/ are sorted by class."
    )
    NO_SCIKIT_LEARN = "The digits are part of scikit-learn, which is not installed: pip install scikit-learn."


@unique
class Damaged(Code):
    """A file of a data set with the wrong content."""

    CIFAR10 = "{file} is damaged; remove {folder} and prepare it again."
    UNREADABLE_ANNOTATIONS = "{file} cannot be read; unpack {archive} again."
    ANNOTATED_ONLY = "{file} lists {some}, which are not in val/images; unpack {archive} again."
    NOT_ANNOTATED = "{file} does not list {some}, which are in val/images; unpack {archive} again."
    UNKNOWN_CLASS = "{file} has classes that are not in train/: {some}; unpack {archive} again."
    CLASS_WITHOUT_IMAGES = "{file} has no images of some classes: {some}; unpack {archive} again."
    DEVKIT = "{file} cannot be read; remove it and prepare ImageNet again."


@unique
class Archives(Code):
    """An archive that cannot be downloaded, or is not the published one."""

    NOT_NAMED = "Name the folder that holds {names} with --archives."
    MISSING = "There is no {name} in {folder}; put it there as downloaded."
    WRONG_SIZE = (
        "{file} has {found:,} bytes instead of {expected:,}; download the rest, or download it again."
    )
    WRONG_MD5 = "{file} is damaged: its MD5 is {found} instead of {expected}; download it again."
    DAMAGED = "The archive {file} is damaged ({said}); download it again."
    FOREIGN_MEMBER = (
        "The archive {file} contains {name!r}, which is not a regular file inside the archive; it is not the "
        "published one."
    )
    NO_IMAGES = "{file} has no folder {name} with images; it is another archive."
    NOT_FETCHED = (
        "{url} cannot be downloaded ({said}); try again online, or name a folder that holds {name} with "
        "--archives."
    )
    BROKEN_OFF = (
        "The download of {url} was interrupted after {done:,} of {total:,} bytes; start the same command "
        "again to continue."
    )
    NOT_DEVKIT = "{file} is not ImageNet's devkit; download it again."
    OTHER_LABELS = "{file} has other classes or labels than ImageNet's; download it again."
    WRONG_CLASSES = "{file} has {found:,} classes instead of the devkit's {expected:,}."
    WRONG_IMAGES = "{file} has {found:,} images instead of the devkit's {expected:,}."
    UNKNOWN_IMAGE = "{file} has an image {number:,}, but the devkit has {known:,}."


@unique
class Place(Code):
    """A folder or a bucket to which images cannot be written."""

    NOT_A_FOLDER = "{place} is not a folder; name one that can hold the images."
    IN_USE = "Another process is writing to {place}; wait until it has finished."
    NOT_EMPTY = "{place} already holds other files; choose an empty place for the images."
    OTHER_CONTENT = (
        "{place} holds other images, or the same with other settings; choose another place, or remove what "
        "is there."
    )
    PLAN_DAMAGED = "{file} is damaged; choose another place for the images."
    NO_SPACE = (
        "The images need about {needed_gb:,.1f} GB more in {place}, but only {free_gb:,.1f} GB are free; "
        "free some space, or choose a larger disk or smaller images."
    )
    NO_TEMPORARY_SPACE = (
        "{folder} cannot hold {name} before its upload to {place} ({said}); free some space, or name another "
        "folder in TMPDIR."
    )
    READ_ONLY = (
        "{place} cannot be written from here; convert into a folder and upload it with gcloud storage rsync "
        "or hf upload."
    )


@unique
class Pack(Code):
    """A pack that cannot be opened or made."""

    NOT_A_PACK = "{root} is not a pack, since it has no {name}; `python -m datamodules pack` makes one."
    UNFINISHED = "{root} is not completely packed; run the same command again to continue."
    OTHER_VERSION = "{file} was written by another version; pack the images again."
    DAMAGED = "{file} is missing or damaged; pack the images again."
    NOTHING_READABLE = "None of the {number:,} images can be read; the first is {first}."


@unique
class LitData(Code):
    """Data in LitData's format that cannot be opened."""

    NO_INDEX = "{where} is not an index of LitData's; name the output of its optimize function."
    BAD_CHUNK_NAME = "{where} lists a chunk {name!r}; only plain file names are opened."
    NO_CHUNKS = "{where} lists no chunks, or empty ones; write the data again."
    TOO_MANY_SAMPLES = "{where} lists more samples than the chunks can hold; write the data again."
    PICKLED = (
        "{where} declares pickled samples, whose author could run any code here; write images as JPEG files "
        "instead."
    )
    ENCODED = "{where} declares {feature} of its chunks; write them without, since JPEG files are small."
    OTHER_LOADER = "{where} is for LitData's {loader}; images need its PyTreeLoader."
    OTHER_SAMPLES = (
        "{where} has samples of {kinds}; one image (jpeg, image, file, bytes or pil) and one label (int) are "
        "required."
    )
    ARROW = (
        "{where} is of a version of LitData that keeps bytes in Arrow tables; write the images as "
        "litdata.Jpeg(bytes=...)."
    )
    NO_CLASS_NAMES = (
        "{where} does not hold the class names; write them in the order of the labels, such as {example}."
    )
    BAD_INFO = "{where} needs two classes or more, and standard deviations above 0."
    NO_LABELS = "{where} is not a NumPy array; write or upload it again."
    WRONG_LABELS = "{where} does not hold one label for each of {number:,} images; write it again."
    LABELS_OUT_OF_RANGE = "{where} has labels from {smallest} to {largest}, but there are {number} classes."
    LABEL_OUT_OF_RANGE = "{where} has the label {label}, but there are {number} classes."
    NOT_CONVERTED = "There is no {name} in {folder}; `python -m datamodules convert` writes it."
    NO_LIST_OF_LABELS = (
        "These images have no list of labels; choosing some classes would mean downloading all of them."
    )
    SAMPLE_TOO_LARGE = "Image {index} has {size:,} bytes, more than {limit:,}."


@unique
class Cache(Code):
    """Chunks that cannot be kept on this machine."""

    NO_FOLDER = "Chunks need a folder on this machine; set ARENA_CACHE to one."
    BAD_LIMIT = "ARENA_CACHE_GB is {value!r}; it must be a number, such as 50."
    LIMIT_TOO_SMALL = (
        "{address} needs {needed_gb:.1f} GB for chunks on this machine, but only {limit_gb:.1f} GB may be "
        "used; raise ARENA_CACHE_GB, or name another disk in ARENA_CACHE."
    )
    CHUNK_TOO_LARGE = "{name} alone is larger than the {limit:,} bytes that may be kept."
    FAILED = "{folder} cannot keep {name} ({said}); name another folder in ARENA_CACHE."


@unique
class Remote(Code):
    """An address that cannot be read or written."""

    NOT_AN_ADDRESS = (
        "{address} is not an address that can be read; choose s3://bucket/folder, gs://bucket/folder or "
        "hf://datasets/owner/name/folder."
    )
    NO_ANSWER = "{address} does not answer ({said}); check the network and {setting}."
    NO_BUCKET = "There is no bucket {bucket}, and so no {address}."
    NO_FILE = "There is no {name} in {address}."
    INTERRUPTED = "The download of {name} from {address} was interrupted; check the network and try again."
    REFUSED = "{address} refuses access ({said}); set {setting}."
    FAILED = "{address} returns {said} instead of {name}; try again later."
    WRONG_SIZE = (
        "{address}/{name} does not have the {size:,} bytes that the index of {address} lists; upload it "
        "again."
    )
    BAD_CREDENTIALS = (
        "Google's credentials cannot be used ({said}); correct {setting}, or log in again with gcloud auth "
        "application-default login."
    )


@unique
class Training(Code):
    """Images on which a run cannot train."""

    BATCH_TOO_LARGE = (
        "A batch_size of {batch_size} is too large for {number} training images; choose {most} or less."
    )
    BATCHES_TOO_LARGE = (
        "A batch_size of {batch_size} on each of {devices} devices is too large for {number} training "
        "images; choose {most} or less."
    )
    TOO_MANY_DEVICES = (
        "There are {number} validation images, fewer than the {devices} devices; use {number} devices or "
        "fewer."
    )
    CLASS_WITHOUT_IMAGES = "The class {name} has no images in one of the splits; choose others."
    NOTHING_READABLE = "No image of a whole batch can be read, such as {name}."
    TOO_MANY_UNREADABLE = (
        "{number} of {total:,} {split} images cannot be read, more than the {limit:,} that max_unreadable "
        "{max_unreadable:g} allows; repair or remove them: {names}."
    )
    OTHER_EPOCH = (
        "The interrupted epoch cannot continue: {name} was {before} and is now {now}; restore it, or start a "
        "new run from these weights."
    )


@unique
class Defect(Code):
    """Why one image cannot be decoded; shown in parentheses after the image's name."""

    NOT_A_FILE = "Not a regular file."
    EMPTY = "An empty file."
    NOT_AN_IMAGE = "Not an image."
    TOO_MANY_BYTES = "More than {limit:,} bytes."
    TOO_MANY_PIXELS = "More than {limit:,} pixels."
    TOO_MANY_SCANS = "More than {limit:,} scans."
    TOO_SLOW = "Decoding takes too long."
    NO_MEMORY = "Not enough memory."
    CRASHED = "The process that read it crashed."
    CHANGED = "Its bytes have changed since it was packed."
    CHUNK_CUT_OFF = "The chunk is truncated."
    WRONG_SIZE = "Its size of {size:,} bytes is impossible."
    WRONG_PARTS = "The sizes of its parts do not match its own."
    WRONG_LABEL = "Its label is not an integer."
    WRONG_PIXELS = "Its pixels are neither RGB nor greyscale."
    OTHER = "{said}."


class DataError(Problem):
    """The images are missing or not as they should be.

    A DataLoader raises the error of a worker again with only its traceback, as the message; the sentence is
    the traceback's end.

    Args:
        code: What is wrong; or a sentence or a traceback alone, where another process has raised the error.
        **values: For the sentence. Paths appear in it as `printable` returns them.
    """

    def __init__(self, code: Code | str, **values: Any) -> None:
        # The text of torch.utils.data's ExceptionWrapper, which keeps nothing but text.
        if isinstance(code, str) and code.startswith("Caught ") and "\nOriginal Traceback" in code:
            code = code.rstrip().splitlines()[-1].partition(": ")[2]
        shown = {name: printable(one) if isinstance(one, Path) else one for name, one in values.items()}
        super().__init__(code, **shown)
        self.values = values


class UnreadableImage(DataError):
    """One image cannot be decoded; as text its name, with the reason in parentheses.

    Args:
        code: A `Defect`.
        name: Of the image.
        **values: For the reason.
    """

    def __str__(self) -> str:
        if self.code is None:
            return super().__str__()
        return f"{self.values['name']} ({describe(self.code, **self.values)})"


def describe(code: Code, **values: Any) -> str:
    """Return a problem as a phrase, to be part of a sentence."""
    sentence = str(Problem(code, **values))
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def explain(error: OSError) -> DataError:
    """Return what is wrong with a file or a disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(Reading.DISK_FULL)
    said = error.strerror or str(error)
    if not error.filename:
        return DataError(Reading.FAILED_SOMEWHERE, said=said)
    return DataError(Reading.FAILED, file=printable(error.filename), said=said)


def printable(name: str | bytes | Path) -> str:
    r"""Return a file's name for people: what is not text, such as a newline, becomes ``\n`` or ``\xff``."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def shorten(names: Sequence[str], most: int) -> str:
    """Return the first names of a list as text, with the number of the others."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(printable, names[:most])) + more
