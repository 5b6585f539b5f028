"""Malicious names and paths in commands, paths and pages."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.__main__ import main
from jobs.preflight.allowed_paths import VARIABLE
from jobs.problems import LaunchError
from jobs.submission.spec import JobSpec
from jobs.submission.submit import check_config
from tests.datamodules.conftest import picture
from tests.jobs.conftest import Bench
from tracking import records, runs
from tracking.layout import REPOSITORY
from tracking.store import Store

NASTY = (
    "; touch canary",
    "$(touch canary)",
    "`touch canary`",
    "../../../canary",
    "-flag",
    "--option=x",
    "<script>canary()</script>",
    "a\x00b",
    "new\nline",
)

pytestmark = pytest.mark.fault(
    "names and paths: ; touch x, $(...), ../, NUL, -flag, <script>", "an ordinary name, or one sentence"
)


@pytest.fixture(autouse=True)
def no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NASTY)
def test_as_the_name_of_a_run(name: str, bench: Bench, tmp_path: Path) -> None:
    bench.supervisor.ask_grace_s = 60
    run_id = records.create_run(bench.store, {"behaviour": "exit", "code": 3}, name=name)
    (run,) = bench.until_ended(run_id)
    assert run.status == "FAILED" and run.tags["job.exit_code"] == "3"
    assert runs.find_run(bench.store, name).run_id == run_id
    assert main(["logs", "--", name]) == 0
    assert not list(tmp_path.rglob("canary*"))


@pytest.mark.parametrize("name", NASTY)
def test_as_a_path_or_an_id(
    name: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("stop", "resume", "logs", "retry"):
        assert main([command, "--", name]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    (config,) = JobSpec(("resnet18",), source="folder", root=name, epochs=1, batch_size=2).configs()
    with pytest.raises(LaunchError) as refused:
        check_config(config)
    assert str(refused.value).endswith(".")
    (config,) = JobSpec(("resnet18",), epochs=1, batch_size=2, weights=name).configs()
    with pytest.raises(LaunchError):
        check_config(config)
    assert not list(tmp_path.rglob("canary*"))


def test_the_command_of_the_form_in_a_shell(
    store: Store, tmp_path: Path, observed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them in the name of one folder, which exists and contains images."""
    root = tmp_path / ("-flag <script> ; touch canary $(touch canary) `touch canary` & " + "'\"\n")
    for split in ("train", "val"):
        for label in ("one", "two"):
            (root / split / label).mkdir(parents=True)
            picture(0, 0).save(root / split / label / "0.JPEG")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    spec = JobSpec(("resnet18",), source="folder", root=str(root), epochs=1, batch_size=2, image_size=32)
    program = shlex.quote(sys.executable)
    command = f"{program} {spec.command().removeprefix('.venv/bin/python ')} --hold"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    (run,) = runs.list_runs(store)
    assert run.params["data.root"] == str(root)
    assert not list(tmp_path.rglob("canary*")) and not (REPOSITORY / "canary").exists()
    observed("kept unchanged, or refused in one sentence; no command was executed")
