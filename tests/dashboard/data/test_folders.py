"""Folders that are added: where they may lie, and that none is lost."""

import threading
from pathlib import Path

import pytest

from dashboard.known_folders import add_folder, read_folders, remove_folder
from jobs.preflight.allowed_paths import VARIABLE, allowed_roots, check_files, check_folder
from tracking.store import Store


@pytest.fixture
def allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "allowed"
    (root / "images").mkdir(parents=True)
    monkeypatch.setenv(VARIABLE, str(root))
    return root


def test_a_folder_below_a_root_is_taken_by_its_real_path(allowed: Path) -> None:
    (allowed / "link").symlink_to(allowed / "images")
    assert check_folder(f"  {allowed}/link/../link ") == (allowed / "images").resolve()
    assert check_folder(str(allowed)) == allowed.resolve()


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", "Name a folder"),
        ("~nobody-of-that-name/images", "no such home"),
        ("images", "begin with /"),
        ("{root}/images\0", "begin with /"),
        ("{root}/missing", "There is no folder"),
        # As for a folder below one that may not be looked into, which tests that run as root have none of.
        ("{root}/" + 300 * "x", "x cannot be used: File name too long"),
        ("{root}/../secret", "not in a place"),
        ("{root}/out", "not in a place"),
        ("{root}/out/deep", "not in a place"),
        ("{root}/inner", "inner/val is not in a place"),
        ("{root}/loop", "There is no folder|cannot be resolved"),
        ("{root}-secret", "not in a place"),
        ("/etc", "not in a place"),
        ("/no/such/folder", "not in a place"),
    ],
)
def test_what_is_refused(typed: str, problem: str, allowed: Path) -> None:
    for other in (allowed.parent / "secret" / "deep", allowed.parent / "allowed-secret"):
        other.mkdir(parents=True)
    (allowed / "out").symlink_to(allowed.parent / "secret")
    (allowed / "loop").symlink_to(allowed / "loop")
    (allowed / "inner").mkdir()
    (allowed / "inner" / "val").symlink_to(allowed.parent / "secret")
    with pytest.raises(ValueError, match=problem) as refused:
        check_folder(typed.format(root=allowed))
    assert "\n" not in str(refused.value)


def test_the_refusal_says_where_data_may_lie(allowed: Path) -> None:
    with pytest.raises(ValueError, match=VARIABLE) as refused:
        check_folder("/etc")
    assert str(allowed) in str(refused.value)


def test_without_the_variable_the_home_is_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path.resolve() in allowed_roots()
    assert not {Path("/"), Path("/etc")} & set(allowed_roots())


def test_added_and_removed(empty_store: Store) -> None:
    assert read_folders(empty_store) == []
    first = add_folder(empty_store, "folder", "/data/a b")
    assert add_folder(empty_store, "folder", "/data/a b") == first
    second = add_folder(empty_store, "folder", "/data/c")
    assert read_folders(empty_store) == [first, second]
    remove_folder(empty_store, first.key)
    assert read_folders(empty_store) == [second]


def test_none_is_lost_when_several_are_added_at_once(empty_store: Store) -> None:
    threads = [
        threading.Thread(target=add_folder, args=(empty_store, "folder", f"/data/{number}"))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.root for one in read_folders(empty_store)} == {f"/data/{number}" for number in range(12)}


def test_a_damaged_list_is_not_overwritten(empty_store: Store) -> None:
    file = empty_store.root / "folders.json"
    file.write_text('[{"source": "folder"', encoding="utf-8")
    with pytest.raises(ValueError, match="correct or delete it"):
        add_folder(empty_store, "folder", "/data/a")
    assert file.read_text(encoding="utf-8") == '[{"source": "folder"'


def test_files_of_a_configuration_lie_in_the_same_places(
    allowed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_MLRUNS", str(tmp_path / "mlruns"))
    of_this_store = tmp_path / "mlruns" / "checkpoints" / "a" / "last.ckpt"
    for weights in ("torchvision", "resnet18-digits-ab12", str(allowed / "a.ckpt"), str(of_this_store)):
        check_files({"model": {"weights": weights}})
    for elsewhere in (
        {"model": {"weights": str(tmp_path / "a.ckpt")}},
        {"model": {"weights": f"{of_this_store.parent}/../../../a.ckpt"}},
        {"model": {"weights": "checkpoints/a.ckpt"}},
        {"data": {"mean_image": str(tmp_path / "mean.npy")}},
        {"data": {"root": str(tmp_path)}},
    ):
        with pytest.raises(ValueError, match=r"not in a place|not an absolute path"):
            check_files(elsewhere)
    check_files({"data": {"root": "s3://bucket/set", "mean_image": str(allowed / "mean.npy")}})
