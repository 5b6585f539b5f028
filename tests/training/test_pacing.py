"""The end of a run is told from what its steps and its validations took."""

from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.demos.boring_classes import BoringModel

from training.callbacks.pacing import Pace, count_steps_between_validations


def train(pace: Pace, now: float, first: int, last: int, step_s: float, pause_s: float) -> float:
    """Trains from one step to another and validates; returns when the next batch is there."""
    pace.go_on(first, now)
    now += (last - first) * step_s
    pace.pause(last, now)
    now += pause_s
    pace.go_on(last, now)
    return now


def test_nothing_is_told_before_a_step_was_measured() -> None:
    pace = Pace(every=10)
    assert pace.left_s(0, 1000, 100) is None
    pace.go_on(1, 1005)
    assert pace.left_s(1, 1005, 100) is None
    assert pace.left_s(3, 1009, 100) == 97 * 2


def test_steps_and_validations_to_come_are_counted() -> None:
    pace = Pace(every=10)
    now = train(pace, 1000, 1, 10, step_s=2, pause_s=30)
    assert pace.left_s(10, now, 40) == 30 * 2 + 3 * 30
    assert pace.left_s(39, now + 29 * 2, 40) == 2 + 30, "only the last step and its validation are left"
    assert pace.left_s(10, now, 45) == 35 * 2 + 3 * 30, "it ends between two validations"


def test_a_pause_is_no_part_of_the_steps() -> None:
    pace = Pace(every=10)
    now = train(pace, 1000, 0, 10, step_s=2, pause_s=500)
    now = train(pace, now, 10, 20, step_s=2, pause_s=30)
    assert pace.left_s(20, now, 30) == 10 * 2 + 30


def test_a_cold_first_epoch_is_forgotten_with_the_second() -> None:
    pace = Pace(every=10)
    now = train(pace, 1000, 0, 10, step_s=6, pause_s=0)
    assert pace.left_s(20, now + 20, 40) == 20 * (60 + 20) / 20
    now = train(pace, now, 10, 20, step_s=2, pause_s=0)
    assert pace.left_s(20, now, 40) == 20 * 2


def test_a_run_that_goes_on_begins_with_its_own_pace_and_the_validations_known() -> None:
    pace = Pace(every=10, pause_s=30)
    pace.go_on(26, 9000)
    assert pace.left_s(28, 9008, 40) == 12 * 4 + 2 * 30
    made_up = Pace(every=10, pause_s=5)
    made_up.pause(20, 9000)
    made_up.go_on(20, 9030)
    assert made_up.left_s(22, 9038, 40) == 18 * 4 + 2 * 30


def test_the_last_checkpoint_is_waited_for() -> None:
    pace = Pace(every=10, closing_s=8)
    now = train(pace, 1000, 1, 10, step_s=2, pause_s=30)
    assert pace.left_s(10, now, 20) == 10 * 2 + 30 + 8


def test_without_validation_only_steps_count() -> None:
    pace = Pace(every=0)
    pace.go_on(1, 1000)
    assert pace.left_s(51, 1100, 101) == 100


class Validations(Callback):
    """Which steps were followed by a validation, and what was expected."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.every = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.every = count_steps_between_validations(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.at.append(trainer.global_step)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning", "ignore:The .*does not have many workers")
@pytest.mark.parametrize(
    ("settings", "validated"),
    [
        ({}, [10, 20, 30, 40]),
        ({"limit_val_batches": 0}, []),
        ({"accumulate_grad_batches": 4}, [3, 6, 9, 12]),
        ({"check_val_every_n_epoch": 2}, [20, 40]),
        ({"val_check_interval": 0.5}, [5, 10, 15, 20, 25, 30, 35, 40]),
        ({"val_check_interval": 25, "check_val_every_n_epoch": None}, [25]),
    ],
)
def test_steps_between_two_validations(
    settings: dict[str, Any], validated: list[int], tmp_path: Path
) -> None:
    found = Validations()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    limits = {"limit_train_batches": 10, "limit_val_batches": 1, "max_epochs": 4, "num_sanity_val_steps": 0}
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[found],
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **quiet | limits | settings,
    )
    trainer.fit(BoringModel())
    assert found.at == validated
    assert found.every == (validated[0] if validated else 0)
