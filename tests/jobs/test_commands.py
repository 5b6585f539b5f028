"""The commands of `python -m jobs` as users call them."""

import subprocess
import sys

import yaml

from jobs.commands import for_each
from jobs.host.logs import read_log
from jobs.problems import Refused
from jobs.submission import requests
from jobs.supervision.supervisor import find_supervisor
from tests.refusals import refused
from tracking import records, runs
from tracking.layout import REPOSITORY
from tracking.problems import Wrong


def jobs(*arguments):
    command = [sys.executable, "-m", "jobs", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)


def test_list_is_a_table(store):
    assert jobs("list").stdout.split() == ["RUN", "NAME", "STATUS", "PROGRESS", "TIME", "TOP-1", "ERROR"]
    run_id = records.create_run(store, {"model": {"architecture": "alexnet"}}, name="first")
    records.log_metrics(store, run_id, {"val/error_top1": 12.345}, 1)
    answer = jobs("list")
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[1].split() == [run_id[:8], "first", "SCHEDULED", "0%", "12.35", "%"]


def test_errors_are_one_sentence(store, monkeypatch, tmp_path):
    answers = [
        jobs("logs", "nothing"),
        jobs("stop", "nothing"),
        jobs("submit"),
        jobs("submit", "--config", str(tmp_path / "missing.yaml")),
    ]
    monkeypatch.setenv("ARENA_MLRUNS", str(tmp_path / "nowhere"))
    answers.append(jobs("list"))
    for answer in answers:
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr.count("\n") == 1 and answer.stderr.endswith(".\n"), answer.stderr


def test_stop_and_shutdown(store):
    # No run may start here, because the supervisor of these commands would run the real training.
    first = records.create_run(store, {}, name="first")
    records.set_tags(store, first, {"job.request": "stop", "job.stop_requested_at": 0})
    answer = jobs("stop", "first")
    assert (answer.returncode, answer.stdout) == (0, "first was asked to stop.\n")
    assert find_supervisor(store)
    answer = jobs("shutdown")
    assert answer.returncode == 0 and "Stopped the supervisor." in answer.stdout
    assert find_supervisor(store) is None
    assert runs.get_run(store, first).status == "KILLED"
    assert "No supervisor" in jobs("shutdown").stdout


def test_the_queue_from_a_shell(store):
    for name in ("one", "two"):
        records.create_run(store, {}, name=name)
    assert jobs("hold", "one").returncode == 0
    assert [line.split()[2:] for line in jobs("move", "two", "up").stdout.splitlines()] == [
        ["two", "waiting", "for", "a", "free", "device"],
        ["one", "held"],
    ]
    assert jobs("move", "one", "--after", "nobody").returncode == 2
    assert jobs("move", "two", "--after", "one").stdout.splitlines()[0].endswith("after one")
    assert jobs("move", "two", "--after", "none").stdout.splitlines()[0].endswith("for a free device")


def test_one_that_has_ended_keeps_no_other_from_being_stopped(store, capsys):
    over, other = (records.create_run(store, {}, name=name) for name in ("over", "other"))
    records.set_status(store, over, "FINISHED")
    named = [runs.find_run(store, name) for name in ("over", "other")]
    with refused(Refused.HAS_ENDED, name="over"):
        for_each(store, named, requests.request_stop, "was asked to stop.")
    assert runs.get_run(store, other).is_stopping
    assert capsys.readouterr().out == "other was asked to stop.\n"


def test_logs(store):
    run_id = records.create_run(store, {}, name="first")
    assert jobs("logs", "first").stdout.count("\n") == 1
    store.log_file(run_id).write_bytes(b"one\nepoch 1\repoch 2\repoch 3\r\nlast \xff\n")
    assert jobs("logs", run_id[:6]).stdout == "one\nepoch 3\nlast \ufffd\n"
    assert jobs("logs", "first", "--lines", "1").stdout == "last \ufffd\n"
    with refused(Wrong.NO_RUN):
        read_log(store, "../../etc/passwd")


def test_a_long_log_is_read_from_its_end(store):
    run_id = records.create_run(store, {}, name="first")
    store.log_file(run_id).write_text("".join(f"line {index}\n" for index in range(200_000)))
    lines = read_log(store, run_id, 3).splitlines()
    assert lines == ["line 199997", "line 199998", "line 199999"]


def test_a_failed_run_explains_itself(store):
    run_id = records.create_run(store, {}, name="first")
    records.set_tags(store, run_id, {"job.error": "Too many GPUs."})
    records.set_status(store, run_id, "FAILED")
    assert read_log(store, run_id).endswith(" Too many GPUs.")


def test_what_is_submitted_is_what_is_stored(store):
    from jobs.submission.spec import JobSpec
    from jobs.submission.submit import submit

    (config,) = JobSpec(("alexnet",), epochs=1, batch_size=8).configs()
    run_id = submit(store, config, check=False)
    run = runs.get_run(store, run_id)
    assert run.status == "SCHEDULED" and run.params["trainer.max_epochs"] == "1"
    assert yaml.safe_load(runs.read_config(store, run_id)) == config
