"""The questions about a job before it is queued, and its trial."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace

import psutil
import pytest
from filelock import FileLock

from jobs.__main__ import build_parser, main
from jobs.host.machine import Gpu, Machine, describe_machine
from jobs.preflight.fitting import Remedy, largest_batch, need_bytes, split
from jobs.preflight.questions import check_all, check_disk, check_memory, check_size, check_time, look_at_data
from jobs.preflight.trials import Trial, try_out
from jobs.problems import BadValue, TrialProblem
from jobs.submission.arguments import read_config
from jobs.submission.spec import JobSpec
from tests.jobs.test_forecast import DONE, HOST, run
from tests.refusals import refused
from tracking import records, runs
from tracking.layout import REPOSITORY

GIB = 2**30
SMALL = Machine(HOST, "cpu", 2, 2 * GIB, (), "cpu", ("cpu:0",))
SPEC = JobSpec(("alexnet", "resnet18"), precision="32-true", batch_size=512, image_size=64)


def test_what_fits_is_a_yes(store):
    answers = check_all(store, replace(SPEC, batch_size=8).configs(), SMALL, [])
    assert [(one.question, one.verdict) for one in answers] == [
        ("Data", True),
        ("Size", True),
        ("Memory", True),
        ("Disk", True),
        ("Time", None),
    ]
    assert "1,433" in answers[0].text and "10 classes" in answers[0].text


def test_a_batch_that_does_not_fit_comes_with_one_that_does():
    configs = SPEC.configs()
    (answer,) = check_memory(configs, 10, SMALL)
    assert answer.verdict is False and "2.0 GB" in answer.text
    remedy = answer.remedy
    assert remedy.batch_size * remedy.accumulate == 512
    smaller = replace(SPEC, batch_size=remedy.batch_size, accumulate=remedy.accumulate).configs()
    assert check_memory(smaller, 10, SMALL)[0].verdict
    for config in configs:
        largest = largest_batch(config, 10, SMALL, 2 * GIB)
        data = {**config["data"], "batch_size": largest + 1}
        assert remedy.batch_size <= largest
        assert largest == 512 or need_bytes({**config, "data": data}, 10, SMALL) > 2 * GIB


def test_steps_that_differ_have_no_common_remedy():
    configs = [*SPEC.configs(), *replace(SPEC, batch_size=256).configs()]
    (answer,) = check_memory(configs, 10, SMALL)
    assert (answer.verdict, answer.remedy) == (False, None)


def test_what_never_fits_says_so():
    tiny = replace(SMALL, memory_bytes=GIB // 4)
    (answer,) = check_memory(SPEC.configs(), 10, tiny)
    assert (answer.verdict, answer.remedy) == (False, None)
    unknown = replace(SMALL, gpus=(Gpu("0", "card", 0),), slots=("cuda:0", "cpu:0"))
    assert check_memory(SPEC.configs(), 10, unknown)[0].verdict is None


@pytest.mark.parametrize(
    ("step", "largest", "remedy"),
    [
        (512, 200, Remedy(128, 4)),
        (512, 512, Remedy(512, 1)),
        (90, 40, Remedy(30, 3)),
        (7, 5, Remedy(3, 2)),
        (701, 337, Remedy(233, 3)),
    ],
)
def test_a_step_is_split_into_equal_batches(step, largest, remedy):
    assert split(step, largest) == remedy


def test_data_and_size(store):
    missing = replace(SPEC, source="folder", root="~/no/such").configs()
    (data, size) = check_all(store, missing, SMALL, [])
    assert data.verdict is False and "no/such" in data.text and size.verdict
    assert look_at_data(replace(SPEC, batch_size=5000).configs()[0])[0].verdict is False
    answer = check_size(replace(SPEC, image_size=16).configs())
    assert answer.verdict is False and "64" in answer.text


def test_disk(store):
    (config,) = replace(SPEC, architectures=("vgg16",)).configs()
    assert check_disk(store, [config], 1000, SMALL).verdict
    answer = check_disk(store, [config] * 100_000, 1000, SMALL)
    assert answer.verdict is False and str(store.root) in answer.text


def test_time_comes_from_runs_or_from_a_trial():
    config = {
        "model": {"architecture": "a"},
        "trainer": {"max_epochs": 4},
        "data": {"source": "digits"},
    }
    known = check_time([config], SMALL, [run("b1"), *DONE])
    assert known.verdict and " 70 s" in known.text, "50 s of the one before, then 20 s"
    other = {**config, "model": {"architecture": "never"}}
    assert check_time([other], SMALL, DONE).verdict is None
    trial = Trial(images_per_s=50.0, peak_bytes=1, iterations=20, train_images=1000)
    other["trainer"] = {"max_epochs": 4, "devices": 1}
    assert trial.expected_s(other) == pytest.approx(80 * 1.15)
    assert " 2 min" in check_time([other], SMALL, DONE, [trial.expected_s(other)]).text


def test_twenty_real_steps(store):
    (config,) = JobSpec(("resnet18",), image_size=32, batch_size=8, epochs=1).configs()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    trial = try_out(store, config)
    assert (trial.iterations, trial.train_images) == (20, 1433)
    assert trial.images_per_s > 1 and trial.peak_bytes > 100 * 2**20
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert runs.list_runs(store) == [], "nothing is recorded"


def test_no_trial_beside_a_job(store):
    busy = records.create_run(store, {}, name="busy")
    for slot in describe_machine().slots:
        records.set_tags(store, busy, {"job.slots": slot})
    records.set_status(store, busy, "RUNNING")
    if len(describe_machine().slots) == 1:
        with refused(TrialProblem.DEVICE_IN_USE, run="busy"):
            try_out(store, {"trainer": {}})


def test_no_trial_beside_a_trial(store):
    with ExitStack() as stack:
        for slot in describe_machine().slots:
            stack.enter_context(FileLock(store.root / f"trial-{slot.replace(':', '-')}.lock"))
        with refused(TrialProblem.TRIAL_RUNS):
            try_out(store, {"trainer": {}})


def test_the_shell_refuses_what_does_not_fit(store):
    words = ["submit", "vgg16", "--image_size", "1024", "--batch_size", "1024"]
    command = [sys.executable, "-m", "jobs", *words]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "vgg16" in answer.stderr and "1024" in answer.stderr and "--anyway" in answer.stderr
    assert runs.list_runs(store) == []


def test_what_submit_refuses_is_no_yes(store, monkeypatch, capsys):
    monkeypatch.setenv("ARENA_MLRUNS", str(store.root))
    for words, named in (
        (["--epochs", "0"], ("epochs", "0")),
        (["--devices", "0"], ("devices", "0")),
        (["--weights", "nobody"], ("nobody",)),
    ):
        assert main(["check", "resnet18", "--image_size", "32", *words]) == 2
        problem = capsys.readouterr().err
        assert problem.count("\n") == 1 and all(word in problem for word in named)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--sbatch", "mem"], ("--sbatch", "'mem'", "NAME=VALUE")),
        (["--ema_decay", "2"], ("--ema_decay", "'2'", "below 1")),
        (["--epochs", "few"], ("--epochs", "'few'", "whole number")),
    ],
)
def test_an_invalid_value_is_one_sentence(words, named, capsys):
    with pytest.raises(SystemExit):
        main(["check", "resnet18", *words])
    answer = capsys.readouterr().err
    assert all(word in answer for word in named) and answer.count("\n") == 1


def test_a_yaml_is_looked_at_like_the_form(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ARENA_MLRUNS", str(store.root))
    file = tmp_path / "run.yaml"
    file.write_text("model: {architecture: vgg16}\ndata: {image_size: 1024, batch_size: 1024}\n")
    for command in ("submit", "check"):
        assert main([command, "--config", str(file)]) == 2
        printed = "".join(capsys.readouterr())
        assert "vgg16" in printed and "1024" in printed, command
    assert runs.list_runs(store) == []
    file.write_text("model: {architecture: resnet18}\ndata: {image_size: 32}\n")
    assert main(["check", "--config", str(file)]) == 0
    answers = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in answers] == ["Data", "Size", "Memory", "Disk", "Time"]
    for broken, code in (("[1]", BadValue.NOT_A_CONFIG), ("a: b: c", BadValue.NOT_YAML)):
        file.write_text(broken)
        with refused(code, file=file):
            read_config(build_parser().parse_args(["check", "--config", str(file)]))
