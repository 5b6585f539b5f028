"""The forecast of starts and ends: only from measured runs, in the order of the queue."""

import time
from dataclasses import replace

import pytest

from jobs.scheduling.forecast import EXPECTED, UNKNOWN, Span, expected_s, forecast
from tracking.runs import ENDS_AT, PAUSE, Run

HOST = "here"


def run(name: str, status: str = "SCHEDULED", *, epochs: int = 2, took_s: float = 0, **tags: str) -> Run:
    now = time.time()
    params = {"model.architecture": name[0], "trainer.max_epochs": str(epochs), "data.source": "digits"}
    if status == "RUNNING":  # half finished, with as much time left
        tags[ENDS_AT] = str(int((now + took_s) * 1000))
    return Run(
        run_id=name,
        experiment_id="1",
        name=name,
        status=status,
        created_at=now,
        started_at=None if status == "SCHEDULED" else now - took_s,
        ended_at=now if status in ("FINISHED", "FAILED") else None,
        params=params,
        tags={"job.host": HOST, "job.slots": "" if status == "SCHEDULED" else "cpu:0", **tags},
        metrics={},
        step=50,
    )


DONE = [run("a0", "FINISHED", took_s=10, epochs=2), run("b0", "FINISHED", took_s=100, epochs=4)]


def test_a_job_takes_what_the_newest_like_it_took_by_the_epoch() -> None:
    assert expected_s(run("a1", epochs=6), DONE, HOST) == pytest.approx(30)
    assert expected_s(run("b1", epochs=2), DONE, HOST) == pytest.approx(50)
    assert expected_s(run("c1"), DONE, HOST) is None, "never measured"
    assert expected_s(run("a1"), DONE, "elsewhere") is None
    assert expected_s(run("d1"), [run("d0", "FAILED", took_s=10)], HOST) is None


def test_startup_is_not_counted_for_every_epoch() -> None:
    paced = {"steps_per_epoch": "10", "images_per_step": "32"}

    def known(took_s: float, images_per_s: float) -> Run:
        done = run("a0", "FINISHED", took_s=took_s, epochs=3, **{PAUSE: "1.0"})
        return replace(done, params=done.params | paced, metrics={"train/images_per_s": images_per_s})

    # 320 images in 2 s and a second for their validation, three times, after a startup of 18 s.
    assert expected_s(run("a1", epochs=300), [known(27, 160)], HOST) == pytest.approx(18 + 300 * 3)
    assert expected_s(run("a1", epochs=1), [known(27, 160)], HOST) == pytest.approx(18 + 3)
    # The recent speed is below the average: the startup cannot be separated from the epochs.
    assert expected_s(run("a1", epochs=6), [known(27, 10)], HOST) == pytest.approx(54)


def test_one_after_the_other() -> None:
    spans = forecast([run("x", "RUNNING", took_s=20)], [run("a1"), run("b1")], DONE, ["cpu:0"], HOST)
    assert spans["x"].end_s == pytest.approx(20, abs=0.5)
    assert (spans["a1"].start_s, spans["a1"].end_s) == pytest.approx((20, 30), abs=0.5)
    assert (spans["b1"].start_s, spans["b1"].end_s) == pytest.approx((30, 80), abs=0.5)


def test_what_was_never_measured_hides_what_follows() -> None:
    spans = forecast([], [run("c1"), run("a1")], DONE, ["cpu:0"], HOST)
    assert spans == {"c1": Span(0, None, ("cpu:0",)), "a1": UNKNOWN}


def test_held_ones_are_passed_and_chained_ones_wait() -> None:
    held = run("a1", **{"queue.held": "yes"})
    chained = run("a2", **{"queue.after": "b1"})
    spans = forecast([], [held, run("b1"), chained, run("a3")], DONE, ["cuda:0", "cuda:1"], HOST)
    assert spans["a1"] == UNKNOWN
    assert (spans["b1"].start_s, spans["b1"].end_s) == pytest.approx((0, 50))
    assert (spans["a2"].start_s, spans["a2"].end_s) == pytest.approx((50, 60))
    assert spans["a3"].start_s == 0, "on the other device, since a2 may not start yet"


def test_a_run_behind_a_held_one_is_unknown() -> None:
    waiting = [run("a1", **{"queue.after": "a2"}), run("a2", **{"queue.held": "yes"})]
    assert forecast([], waiting, DONE, ["cpu:0"], HOST) == {"a1": UNKNOWN, "a2": UNKNOWN}


def test_a_trial_is_used_if_there_is_no_measured_run() -> None:
    assert expected_s(run("c1", **{EXPECTED: "40"}), DONE, HOST) == 40
    assert expected_s(run("a1", **{EXPECTED: "40"}), DONE, HOST) == pytest.approx(10)


def test_another_learning_rate_takes_no_longer() -> None:
    other = run("a1")
    other.params["model.learning_rate"] = "0.5"
    assert expected_s(other, DONE, HOST) == pytest.approx(10)


def test_the_speed_of_a_run_is_known_after_an_epoch() -> None:
    running = run("c0", "RUNNING", took_s=30)
    assert expected_s(run("c1"), [running], HOST) is None
    running.params["steps_per_epoch"] = "50"
    assert expected_s(run("c1", epochs=4), [running], HOST) == pytest.approx(120, abs=1)
