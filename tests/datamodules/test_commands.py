"""The command line: found commands, one sentence for what is wrong, an orderly end."""

import json
import os
import pkgutil
import subprocess
import sys

import pytest

from datamodules import commands, sources
from datamodules.__main__ import main
from tests.exits import exit_code


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from datamodules.__main__ import build_parser\n"
        "build_parser().format_help(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", [found.name for found in pkgutil.iter_modules(commands.__path__)])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = exit_code(main, [name, "--help"])
    assert code == 0
    assert f"python -m datamodules {name}" in capsys.readouterr().out


def test_every_source_is_listed_with_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert main(["list", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["key"] for row in rows] == list(sources.available())
    for source in sources.available().values():
        assert f"{source.key} {source.description}" in text


def test_an_unknown_command_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code = exit_code(main, ["lsit"])
    assert code == 2
    error = capsys.readouterr().err
    assert "'lsit'" in error and "list" in error and error.count("\n") == 1


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("package", ["datamodules", "lightning_modules"])
def test_whoever_reads_along_may_leave(package: str, unbuffered: str) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m {package} list | true"],
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""
