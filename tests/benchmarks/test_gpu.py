"""The benchmark of a GPU, where there is none: every part runs in a small form, or says that it needs one."""

import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.gpu.children import ChildFailed, rows_of, value_of
from benchmarks.gpu.command import PARTS
from benchmarks.gpu.results import JSON, MARKDOWN, Part, Results, Row, table
from benchmarks.gpu.speed import make_cifar
from datamodules.sources import cifar10
from tracking.layout import REPOSITORY

NEEDS_A_GPU = {"syncs", "compile", "memory", "float16"}
# What a CPU cannot reach, and is no fault of the program.
SPEEDS = {"speed"}


@pytest.fixture(scope="module")
def parts_of_cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive like CIFAR-10's, in two parts."""
    place = tmp_path_factory.mktemp("cifar")
    make_cifar(place, 1_000)
    with tarfile.open(place / "whole.tar.gz", "w:gz") as archive:
        archive.add(place / cifar10.NAME, cifar10.NAME)
    content = (place / "whole.tar.gz").read_bytes()
    data = tmp_path_factory.mktemp("data")
    half = len(content) // 2
    (data / "cifar.part00").write_bytes(content[:half])
    (data / "cifar.part01").write_bytes(content[half:])
    return data


@pytest.fixture(scope="module")
def results(parts_of_cifar: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    output = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "benchmarks", "gpu", "--output", str(output), "--seconds", "1000"]
    done = subprocess.run(
        [*command, "--data", str(parts_of_cifar)], cwd=REPOSITORY, capture_output=True, text=True, timeout=560
    )
    assert done.returncode == 0, done.stderr
    found = Results(output)
    assert done.stdout.strip().startswith("**1. The machine** (done") and (output / MARKDOWN).is_file()
    return found


@pytest.mark.skipif(
    bool(__import__("torch").cuda.is_available()), reason="the small forms are those of a CPU"
)
@pytest.mark.parametrize("name", PARTS)
def test_every_part_runs(name: str, results: Results) -> None:
    part = results.parts[name]
    log = (results.folder / "log.txt").read_text()[-3000:]
    assert part.state == "done", f"{part.note}\n{log}"
    told = " ".join(row.found for row in part.rows)
    assert ("needs a GPU" in told) == (name in NEEDS_A_GPU)
    if name not in SPEEDS:
        assert [row for row in part.rows if row.ok is False] == [], log


def test_the_curve_is_kept(results: Results) -> None:
    lines = (results.folder / "cifar_resnet20.csv").read_text().splitlines()
    assert lines[0] == "metric,step,value" and any(line.startswith("val/error_top1,4,") for line in lines)


def test_what_is_done_is_not_done_again(results: Results) -> None:
    before = (results.folder / JSON).read_text()
    command = [sys.executable, "-m", "benchmarks", "gpu", "--output", str(results.folder), "--parts", "facts"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "") and (results.folder / JSON).read_text() == before


def test_children(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def tell() -> Iterator[int]:
        yield 1
        sys.stdout.write("said")
        raise KeyError("gone\nfor good")

    found = []
    with pytest.raises(ChildFailed, match="KeyError: 'gone"):
        found.extend(rows_of(tell, log, 30))
    assert found == [1] and "said" in log.read_text()
    assert value_of(lambda: value_of(lambda: {"a": [1]}, log), log) == {"a": [1]}, "a child may have children"
    with pytest.raises(TimeoutError):
        value_of(lambda: time.sleep(60), log, 0.2)
    with pytest.raises(ChildFailed, match="the process died"):
        value_of(lambda: __import__("os")._exit(3), log)


def test_results_outlive_the_command(tmp_path: Path) -> None:
    first = Results(tmp_path)
    first.parts["a"] = Part("A", "done", 2.0, [Row("speed", "3", "2", True), Row("size", "1", "2", False)])
    first.parts["b"] = Part("B", "cut off", note="too long")
    first.write()
    second = Results(tmp_path)
    assert second.parts == first.parts and second.is_done("a") and not second.is_done("b")
    assert "| size | 1 | 2 | **no** |" in table(second.parts["a"])
    assert set(json.loads((tmp_path / JSON).read_text())) == {"a", "b"}
