"""The private names of Lightning that training uses, each of which a new version may rename.

`requirements.txt` therefore excludes the next minor version of Lightning. Before it is allowed, these tests
must pass with it.
"""

from collections.abc import Callable
from inspect import signature

import pytest
import pytorch_lightning
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.cli import LightningCLI
from pytorch_lightning.strategies.launchers import subprocess_script


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)


def check(owner: object, name: str, user: str) -> None:
    kind = owner.__name__ if isinstance(owner, type) else type(owner).__name__
    place = subprocess_script.__name__ if owner is subprocess_script else kind
    assert hasattr(owner, name), (
        f"{place}.{name} is missing in Lightning {pytorch_lightning.__version__}; {user} uses it."
    )


def check_parameters(function: Callable[..., object], expected: list[str], user: str) -> None:
    found = list(signature(function).parameters)
    assert found == expected, (
        f"{function.__qualname__} has the parameters {found}, not {expected}, "
        f"in Lightning {pytorch_lightning.__version__}; {user} uses it."
    )


def test_launch_process_observer() -> None:
    user = "training.ranks.Ranks.take_over"
    check(subprocess_script, "_launch_process_observer", user)
    check_parameters(subprocess_script._launch_process_observer, ["child_processes"], user)
    launch = subprocess_script._SubprocessScriptLauncher.launch
    assert "_launch_process_observer" in launch.__code__.co_names, (
        f"The launcher does not call _launch_process_observer in Lightning {pytorch_lightning.__version__}; "
        f"{user} replaces it."
    )


def test_batches_that_stepped(trainer: Trainer) -> None:
    user = "training.callbacks.checkpoints.settle"
    check(trainer.fit_loop.epoch_loop, "_batches_that_stepped", user)
    assert "_batches_that_stepped" in trainer.fit_loop.epoch_loop.on_save_checkpoint(), (
        f"_batches_that_stepped is not in checkpoints of Lightning {pytorch_lightning.__version__}; {user} "
        "uses it."
    )


def test_restarting(trainer: Trainer) -> None:
    check(trainer.fit_loop, "_restarting", "training.callbacks.checkpoints.Checkpoints.on_train_start")


def test_should_check_val_fx(trainer: Trainer) -> None:
    user = "training.callbacks.checkpoints.validates_now"
    check(trainer.fit_loop.epoch_loop, "_should_check_val_fx", user)
    check_parameters(trainer.fit_loop.epoch_loop._should_check_val_fx, ["data_fetcher"], user)


def test_data_fetcher(trainer: Trainer) -> None:
    check(trainer.fit_loop, "_data_fetcher", "training.callbacks.checkpoints.validates_now")


def test_broadcast_sigterm_tensor(trainer: Trainer) -> None:
    user = "training.callbacks.stopping.GracefulStop.on_train_start"
    check(trainer.fit_loop.epoch_loop, "_broadcast_sigterm_tensor", user)
    check_parameters(trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor, [], user)


def test_swap_models() -> None:
    user = "training.callbacks.averaging.average_in_place"
    check(WeightAveraging, "_swap_models", user)
    check_parameters(WeightAveraging._swap_models, ["self", "pl_module"], user)


@pytest.mark.parametrize("name", ["_latest_update_step", "_average_model", "_device"])
def test_attributes_of_the_average(name: str) -> None:
    check(WeightAveraging(), name, "training.callbacks.averaging.MovingAverage")


@pytest.mark.parametrize("name", ["_get", "_parser"])
def test_methods_of_the_command_line(name: str) -> None:
    check(LightningCLI, name, "training.cli.ArenaCLI")
