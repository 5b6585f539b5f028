"""ImageNet's archives, in small: checked, unpacked, resumed; nothing gets out of the folder."""

import dataclasses
import gzip
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import sources
from datamodules.__main__ import main
from datamodules.downloads import archives
from datamodules.downloads.archives import locked
from datamodules.ilsvrc2012.devkit import GROUND_TRUTH, META, read_archive, read_devkit, write_devkit
from datamodules.ilsvrc2012.labels import (
    VAL_LABELS_SHA256,
    WNIDS_SHA256,
    hash_labels,
    hash_wnids,
    val_labels,
    wnids,
)
from datamodules.ilsvrc2012.unpacking import OFFICIAL, Edition, prepare
from datamodules.problems import Archives, Damaged, Place, Root
from datamodules.progress import Progress, read_progress
from problems import Code, Problem
from tests.datamodules import fake_imagenet
from tests.datamodules.fake_imagenet import WNIDS, expected_files, found_files, make_archives, pack
from tests.exits import exit_code
from tests.refusals import refused


@pytest.fixture
def edition(tmp_path: Path) -> Edition:
    return make_archives(tmp_path / "archives")


def run(tmp_path: Path, edition: Edition) -> None:
    with Progress(tmp_path / "progress.json") as progress:
        prepare(tmp_path / "root", tmp_path / "archives", progress, edition)


def test_labels_are_those_of_everybody() -> None:
    """The fixtures of the facts: sorted wnids, and the labels of val in the order of the files."""
    assert hash_wnids(wnids()) == WNIDS_SHA256 == OFFICIAL.wnids_sha256
    assert WNIDS_SHA256 == "385e0240499426c022b773be1ae4da780f057b89c9694c7f47199f62746b6edd"
    assert hash_labels(val_labels()) == VAL_LABELS_SHA256 == OFFICIAL.val_labels_sha256
    assert VAL_LABELS_SHA256 == "098d797749a19d2c76f3243494b4d38079446eab41f3b8775212a33e4558a35f"
    assert (wnids()[0], wnids()[999]) == ("n01440764", "n15075141")
    assert val_labels()[:10] == (65, 970, 230, 809, 516, 57, 334, 415, 674, 332)
    assert [val_labels().count(label) for label in range(1000)] == [50] * 1000


def test_labels_are_those_of_timm() -> None:
    from timm.data import ImageNetInfo

    assert tuple(ImageNetInfo().label_names()) == wnids()


def test_archives_become_sorted_folders(tmp_path: Path, edition: Edition) -> None:
    run(tmp_path, edition)
    assert found_files(tmp_path / "root") == expected_files()
    assert {file.name for file in (tmp_path / "root").iterdir() if file.name[0] != "."} == {
        "train",
        "val",
        "devkit.json",
    }
    report = read_progress(tmp_path / "progress.json")
    assert report is not None and report.state == "done"
    assert report.message.startswith(f"{tmp_path / 'root'} is ready")
    images = sources.get("folder").open(tmp_path / "root")
    assert images.class_names == tuple(sorted(WNIDS))


def test_the_devkit_is_kept_as_it_was_read(tmp_path: Path, edition: Edition) -> None:
    run(tmp_path, edition)
    devkit = read_devkit(tmp_path / "root")
    assert devkit is not None and devkit == read_archive(tmp_path / "archives" / edition.devkit.name)
    assert list(devkit.classes) == sorted(WNIDS)
    first = devkit.classes["n01440764"]
    assert (first.number, first.words, first.gloss) == (2, ("name 2", "other name 2"), "a thing")
    assert devkit.synsets[4].children == (5, 3) and devkit.synsets[5].children == (1, 2)
    assert devkit.val_wnids[:2] == ("n03000684", "n02119789")


def test_reading_the_devkit_runs_nothing(tmp_path: Path, edition: Edition) -> None:
    """SciPy reads MATLAB's format without unpickling anything; a hook of the interpreter would tell."""
    code = (
        "import pickle, sys\nfrom pathlib import Path\nimport scipy.io.matlab\n"
        "from datamodules.ilsvrc2012.devkit import read_archive\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, _: seen.append(event) if event == 'pickle.find_class' else None)\n"
        "read_archive(Path(sys.argv[1]))\n"
        "assert not seen, seen\n"
        "pickle.loads(pickle.dumps(Path()))\n"
        "assert seen\n"
    )
    file = tmp_path / "archives" / edition.devkit.name
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)


def test_a_kill_at_any_moment_leaves_whole_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", fake_imagenet.__name__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40, "changes to the disk"


def test_a_second_run_reads_no_archive(tmp_path: Path, edition: Edition) -> None:
    run(tmp_path, edition)
    for archive in edition.archives:
        (tmp_path / "archives" / archive.name).unlink()
    run(tmp_path, edition)
    prepare(tmp_path / "root", None, Progress(), edition)


def test_what_was_lost_since_is_unpacked_again(tmp_path: Path, edition: Edition) -> None:
    run(tmp_path, edition)
    files = sorted(expected_files())
    (tmp_path / "root" / files[0]).unlink()
    (tmp_path / "root" / files[5]).write_bytes(b"")
    (tmp_path / "root" / files[-1]).write_bytes(b"half")
    untouched = (tmp_path / "root" / files[-2]).stat().st_mtime_ns
    run(tmp_path, edition)
    assert found_files(tmp_path / "root") == expected_files()
    assert (tmp_path / "root" / files[-2]).stat().st_mtime_ns == untouched


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"folders": []}', '{"checked": 3}', '{"other": 1}'])
def test_a_damaged_record_is_no_record(text: str, tmp_path: Path, edition: Edition) -> None:
    run(tmp_path, edition)
    (tmp_path / "root" / ".prepared.json").write_text(text)
    run(tmp_path, edition)
    assert found_files(tmp_path / "root") == expected_files()


def test_classes_somebody_unpacked_already_are_taken_over(tmp_path: Path, edition: Edition) -> None:
    name, data = next(iter(expected_files().items()))
    file = tmp_path / "root" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    before = file.stat().st_mtime_ns
    run(tmp_path, edition)
    assert found_files(tmp_path / "root") == expected_files() and file.stat().st_mtime_ns == before


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


@pytest.mark.parametrize("part", ["train", "val", "devkit"])
@pytest.mark.parametrize(
    ("damage", "code"),
    [(flip_a_bit, Archives.WRONG_MD5), (cut_off, Archives.WRONG_SIZE), (Path.unlink, Archives.MISSING)],
)
def test_archives_that_are_not_the_published_ones(
    part: str, damage: Callable[[Path], None], code: Code, tmp_path: Path, edition: Edition
) -> None:
    damage(tmp_path / "archives" / getattr(edition, part).name)
    with refused(code) as error:
        run(tmp_path, edition)
    assert getattr(edition, part).name in str(error.value)
    assert found_files(tmp_path / "root") == {}
    report = read_progress(tmp_path / "progress.json")
    assert report is not None and (report.state, report.message) == ("failed", str(error.value))


def repack(tmp_path: Path, edition: Edition, **archives: bytes) -> Edition:
    """Other archives under a right MD5: as if the published ones were malicious."""
    changed = {
        part: fake_imagenet.write(tmp_path / "archives" / getattr(edition, part).name, data)
        for part, data in archives.items()
    }
    return dataclasses.replace(edition, **changed)


def tar_of(member: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 3 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("../n01440764_1.JPEG"),
        member("/tmp/n01440764_1.JPEG"),
        member("a/../../n01440764_1.JPEG"),
        member("n01440764_1.JPEG", tarfile.SYMTYPE, "/etc/passwd"),
        member("n01440764_1.JPEG", tarfile.LNKTYPE, "../../secret"),
        member("n01440764_1.JPEG", tarfile.CHRTYPE),
        member("n01440764_1.JPEG", tarfile.FIFOTYPE),
        member("../evil", tarfile.DIRTYPE),
    ],
    ids=lambda info: f"{info.name} {info.type!r}",
)
@pytest.mark.parametrize("part", ["train", "val", "class"])
def test_nothing_gets_out_of_the_folder(
    part: str, bad: tarfile.TarInfo, tmp_path: Path, edition: Edition
) -> None:
    data = pack({f"{wnid}.tar": tar_of(bad) for wnid in WNIDS}) if part == "class" else tar_of(bad)
    edition = repack(tmp_path, edition, **{"val" if part == "val" else "train": data})
    before = everything_but_the_root(tmp_path)
    with refused(Archives.FOREIGN_MEMBER, name=bad.name):
        run(tmp_path, edition)
    assert everything_but_the_root(tmp_path) - before == {tmp_path / "progress.json"}
    assert not [file for file in (tmp_path / "root").rglob("*") if file.is_symlink()]


def everything_but_the_root(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if folder / "root" not in (file, *file.parents)}


def test_other_labels_are_refused(tmp_path: Path, edition: Edition) -> None:
    with refused(Archives.OTHER_LABELS):
        run(tmp_path, dataclasses.replace(edition, val_labels_sha256=VAL_LABELS_SHA256))


def test_a_class_too_few_is_refused(tmp_path: Path, edition: Edition) -> None:
    train = pack({f"{wnid}.tar": pack({}) for wnid in WNIDS[:2]})
    with refused(Archives.WRONG_CLASSES, found=2, expected=3):
        run(tmp_path, repack(tmp_path, edition, train=train))


@pytest.mark.parametrize(
    ("names", "code", "values"),
    [
        ([1, 2], Archives.WRONG_IMAGES, {"found": 2, "expected": 6}),
        ([1, 7], Archives.UNKNOWN_IMAGE, {"number": 7, "known": 6}),
    ],
)
def test_val_must_fit_the_devkit(
    names: list[int], code: Code, values: dict[str, int], tmp_path: Path, edition: Edition
) -> None:
    val = pack({fake_imagenet.val_name(number): b"x" for number in names})
    with refused(code, **values):
        run(tmp_path, repack(tmp_path, edition, val=val))
    assert not (tmp_path / "root" / "val").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"other.txt": b""},
        {META: b"no MATLAB", GROUND_TRUTH: b"1\n"},
        {META: b"", GROUND_TRUTH: b"1\n"},
        {META: fake_imagenet.meta()[:300], GROUND_TRUTH: b"1\n"},
        {META: fake_imagenet.meta(), GROUND_TRUTH: b"x\n"},
        {META: fake_imagenet.meta(), GROUND_TRUTH: b"4\n"},
        {META: fake_imagenet.meta(), GROUND_TRUTH: b""},
    ],
)
def test_another_devkit_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "devkit.tar.gz").write_bytes(gzip.compress(pack(files)))
    with refused(Archives.NOT_DEVKIT, file=tmp_path / "devkit.tar.gz"):
        read_archive(tmp_path / "devkit.tar.gz")


def test_a_kept_devkit_that_is_damaged_is_one_sentence(tmp_path: Path, edition: Edition) -> None:
    write_devkit(read_archive(tmp_path / "archives" / edition.devkit.name), tmp_path)
    for text in ("{", "[]", '{"synsets": [{}], "val_numbers": []}'):
        (tmp_path / "devkit.json").write_text(text)
        with refused(Damaged.DEVKIT, file=tmp_path / "devkit.json"):
            read_devkit(tmp_path)


def test_a_small_disk_is_told_before(
    tmp_path: Path, edition: Edition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "DISK_SHARE", 1e12)
    with refused(Place.NO_SPACE, place=tmp_path / "root"):
        run(tmp_path, edition)
    assert found_files(tmp_path / "root") == {}


def test_two_at_once_are_refused(tmp_path: Path, edition: Edition) -> None:
    with locked(tmp_path / "root"), refused(Place.IN_USE, place=tmp_path / "root"):
        run(tmp_path, edition)
    run(tmp_path, edition)


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    devkit = "ILSVRC2012_devkit_t12.tar.gz"
    for arguments, named in (
        (["--root", str(tmp_path / "root")], f"{devkit}, "),
        (
            ["--root", str(tmp_path / "root"), "--archives", str(tmp_path)],
            str(Problem(Archives.MISSING, name=devkit, folder=tmp_path)),
        ),
        ([], "--root"),
    ):
        code = exit_code(main, ["prepare", "imagenet", *arguments])
        error = capsys.readouterr().err
        assert code == 2 and named in error and error.count("\n") == 1


def make_thousand(root: Path) -> None:
    for split in ("train", "val"):
        for wnid in wnids():
            (root / split / wnid).mkdir(parents=True)
            (root / split / wnid / "1.JPEG").touch()


def test_the_source_opens_its_thousand_classes(tmp_path: Path) -> None:
    make_thousand(tmp_path)
    images = sources.get("imagenet").open(tmp_path)
    assert images.class_names == wnids() and images.train.label(999) == 999
    (tmp_path / ".prepared.json").write_text('{"is_complete": false}')
    with refused(Root.NOT_UNPACKED, root=tmp_path):
        sources.get("imagenet").open(tmp_path)


def test_another_folder_is_not_imagenet(folder: Path) -> None:
    with refused(Root.NOT_IMAGENET, root=folder, number=3, missing=997):
        sources.get("imagenet").open(folder)
