"""Unpack ImageNet's archives into ``train/<wnid>/*.JPEG`` and ``val/<wnid>/*.JPEG``; resumable.

The training archive contains a tar for each class. These are read inside of the archive, so that the images
need disk space only once. A class folder gets its name when all its images have been written. The number and
total bytes of its files are recorded, and a later run compares the record with the disk: after a crash of the
machine, incomplete files are written again.
"""

import os
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.downloads.archives import (
    Archive,
    check_archive,
    check_size,
    check_space,
    list_files,
    locked,
    measure,
    room,
    unpack,
)
from datamodules.ilsvrc2012.devkit import Devkit, read_archive, read_devkit, write_devkit
from datamodules.ilsvrc2012.labels import VAL_LABELS_SHA256, WNIDS_SHA256, hash_labels, hash_wnids
from datamodules.ilsvrc2012.record import FILE, Record, read_record
from datamodules.problems import Archives, DataError
from datamodules.progress import Progress

CLASS_TAR = re.compile(r"(?:\./)?(n\d{8})\.tar", re.ASCII)
TRAIN_IMAGE = re.compile(r"(?:\./)?(n\d{8}_\d+\.JPEG)", re.ASCII)
VAL_IMAGE = re.compile(r"(?:\./)?(ILSVRC2012_val_(\d{8})\.JPEG)", re.ASCII)


@dataclass(frozen=True)
class Edition:
    """Archives that belong together, and the hashes of their devkit's labels."""

    train: Archive
    val: Archive
    devkit: Archive
    wnids_sha256: str
    val_labels_sha256: str

    @property
    def archives(self) -> tuple[Archive, Archive, Archive]:
        """All archives, from small to large."""
        return self.devkit, self.val, self.train


OFFICIAL = Edition(
    train=Archive("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e", 147_897_477_120),
    val=Archive("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622", 6_744_924_160),
    devkit=Archive("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf", 2_568_145),
    wnids_sha256=WNIDS_SHA256,
    val_labels_sha256=VAL_LABELS_SHA256,
)


def prepare(root: Path, archives: Path | None, progress: Progress, edition: Edition = OFFICIAL) -> None:
    """Check the archives and unpack what is not unpacked yet.

    Args:
        root: Folder for the images; created if necessary.
        archives: Folder of the archives as downloaded.
        progress: Shows the progress.
        edition: The archives.

    Raises:
        DataError: An archive is missing or damaged, or the disk too small.
    """
    with locked(root):
        record = read_record(root) or Record(root / FILE)
        if not record.is_complete or not _is_intact(record, progress):
            if archives is None:
                names = ", ".join(archive.name for archive in edition.archives)
                raise DataError(Archives.NOT_NAMED, names=names)
            record.is_complete = False
            check_archives(edition, archives, record, progress)
            devkit = read_archive(archives / edition.devkit.name)
            check_labels(devkit, edition)
            write_devkit(devkit, root)
            check_space(root, _num_bytes_left(edition, archives, root, devkit))
            unpack_train(archives / edition.train.name, root, devkit, record, progress)
            unpack_val(archives / edition.val.name, root, devkit, record, progress)
            # The images must be on the disk before the record is, in case the power fails.
            os.sync()
            record.is_complete = True
            record.write()
        images = {
            split: sum(amount[0] for name, amount in record.folders.items() if name.startswith(split))
            for split in ("train", "val")
        }
        progress.say(
            f"{root} is ready: {images['train']:,} training images, {images['val']:,} validation images."
        )


def check_archives(edition: Edition, folder: Path, record: Record, progress: Progress) -> None:
    """Check the archives, except those that have not changed since an earlier check.

    Raises:
        DataError: An archive is missing or damaged.
    """
    for archive in edition.archives:
        check_size(archive, folder)
    for archive in edition.archives:
        file = folder / archive.name
        stamp = [file.stat().st_size, file.stat().st_mtime_ns]
        if record.checked.get(str(file.absolute())) != stamp:
            check_archive(archive, folder, progress)
            record.checked[str(file.absolute())] = stamp
            record.write()


def check_labels(devkit: Devkit, edition: Edition) -> None:
    """Check that the devkit has the usual labels.

    Raises:
        DataError: It does not.
    """
    labels = {wnid: label for label, wnid in enumerate(devkit.classes)}
    found = hash_wnids(list(labels)), hash_labels([labels[wnid] for wnid in devkit.val_wnids])
    if found != (edition.wnids_sha256, edition.val_labels_sha256):
        raise DataError(Archives.OTHER_LABELS, file=edition.devkit.name)


def unpack_train(file: Path, root: Path, devkit: Devkit, record: Record, progress: Progress) -> None:
    """Unpack the classes that are not unpacked yet.

    Raises:
        DataError: The archive is damaged or lacks a class.
    """
    with _open(file) as outer:
        tars = {Path(member.name).stem: member for member in list_files(outer, CLASS_TAR)}
        if sorted(tars) != list(devkit.classes):
            raise DataError(Archives.WRONG_CLASSES, file=file, found=len(tars), expected=len(devkit.classes))
        left = {wnid: member for wnid, member in tars.items() if not record.holds(f"train/{wnid}")}
        num_bytes = sum(member.size for member in left.values())
        total = sum(member.size for member in tars.values())
        progress.begin("Unpacking train", total, "bytes", done=total - num_bytes)
        for wnid, member in left.items():
            amount = _unpack_class(outer, member, _place(root / "train" / wnid), progress)
            record.folders[f"train/{wnid}"] = amount
            # Recorded before the folder gets its name; without the folder, the record has no effect.
            record.write()
            _reveal(root / "train" / wnid)


def unpack_val(file: Path, root: Path, devkit: Devkit, record: Record, progress: Progress) -> None:
    """Unpack the validation images into the folders of their classes, unless this has been done.

    Raises:
        DataError: The archive is damaged or does not match the devkit.
    """
    names = [f"val/{wnid}" for wnid in devkit.classes]
    if all(record.holds(name) for name in names):
        return
    place = _place(root / "val")
    for wnid in devkit.classes:
        (place / wnid).mkdir(parents=True, exist_ok=True)
    progress.begin("Unpacking val", file.stat().st_size, "bytes")
    amounts = {wnid: [0, 0] for wnid in devkit.classes}
    with _open(file) as tar:
        for member in list_files(tar, VAL_IMAGE):
            name, number = VAL_IMAGE.fullmatch(member.name).groups()  # type: ignore[union-attr]
            wnid = _wnid_of(int(number), devkit.val_wnids, file)
            unpack(tar, member, place / wnid / name)
            amounts[wnid] = [amounts[wnid][0] + 1, amounts[wnid][1] + member.size]
            progress.advance(room(member))
    found = sum(amount[0] for amount in amounts.values())
    if found != len(devkit.val_numbers):
        raise DataError(Archives.WRONG_IMAGES, file=file, found=found, expected=len(devkit.val_numbers))
    record.folders |= {f"val/{wnid}": amount for wnid, amount in amounts.items()}
    record.write()
    _reveal(root / "val")


def _unpack_class(
    outer: tarfile.TarFile, member: tarfile.TarInfo, place: Path, progress: Progress
) -> list[int]:
    """Unpack the tar of a class inside of the outer one; return number and total bytes of its images."""
    place.mkdir(parents=True, exist_ok=True)
    num_files = num_bytes = counted = 0
    with _open(outer, member) as inner:
        for image in list_files(inner, TRAIN_IMAGE):
            unpack(inner, image, place / Path(image.name).name)
            num_files, num_bytes = num_files + 1, num_bytes + image.size
            counted += room(image)
            progress.advance(room(image))
    progress.advance(member.size - counted)
    return [num_files, num_bytes]


def _open(file: Path | tarfile.TarFile, member: tarfile.TarInfo | None = None) -> tarfile.TarFile:
    """Open a tar, or one inside of another."""
    try:
        if isinstance(file, Path):
            return tarfile.open(file, "r:")
        assert member is not None
        return tarfile.open(member.name, "r:", fileobj=file.extractfile(member))
    except tarfile.TarError as error:
        name = file if member is None else member.name
        raise DataError(Archives.DAMAGED, file=name, said=str(error)) from error


def _place(folder: Path) -> Path:
    """Return where to unpack a folder's files: beside the folder, or into it if it exists already."""
    return folder if folder.exists() else folder.with_name(f".{folder.name}.part")


def _reveal(folder: Path) -> None:
    place = _place(folder)
    if place != folder:
        place.rename(folder)


def _wnid_of(number: int, val_wnids: Sequence[str], file: Path) -> str:
    if not 1 <= number <= len(val_wnids):
        raise DataError(Archives.UNKNOWN_IMAGE, file=file, number=number, known=len(val_wnids))
    return val_wnids[number - 1]


def _num_bytes_left(edition: Edition, archives: Path, root: Path, devkit: Devkit) -> int:
    wanted = sum((archives / archive.name).stat().st_size for archive in (edition.train, edition.val))
    train = (_place(root / "train" / wnid) for wnid in devkit.classes)
    val = (_place(root / "val") / wnid for wnid in devkit.classes)
    return wanted - sum(measure(folder)[1] for folder in (*train, *val))


def _is_intact(record: Record, progress: Progress) -> bool:
    """Return whether everything that was unpacked is unchanged."""
    progress.begin("Comparing with the record", len(record.folders), "folders")
    for folder in record.folders:
        if not record.holds(folder):
            return False
        progress.advance()
    return read_devkit(record.file.parent) is not None
