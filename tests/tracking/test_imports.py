"""Large libraries come without what nobody here uses, and hide nothing from anyone else."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from threading import Thread

import pytest

from tracking.imports import hidden
from tracking.layout import REPOSITORY

# What the imports of a training take most time for where nobody looks after them; the last is for MLflow.
UNUSED = ("torchvision", "scipy", "matplotlib", "sklearn", "pandas")


def test_hidden_is_not_installed_for_a_moment_and_for_this_thread() -> None:
    def look() -> None:
        found.append(find_spec("colorsys") is not None)

    found: list[bool] = []
    sys.modules.pop("colorsys", None)
    with hidden("colorsys", "filelock"):
        with pytest.raises(ModuleNotFoundError):
            find_spec("colorsys")
        with pytest.raises(PackageNotFoundError):
            version("filelock")
        other = Thread(target=look)
        other.start()
        other.join()
    assert found == [True] and find_spec("colorsys") and version("filelock")


def test_a_training_loads_nothing_that_it_does_not_use() -> None:
    program = (
        "import sys, training.__main__\n"
        "from datamodules.imagenet import ImageNetDataModule\n"
        "from tracking.client import load_mlflow\n"
        "ImageNetDataModule(); load_mlflow()\n"
        f"print([name for name in {UNUSED} if name in sys.modules])\n"
        "import pandas, scipy, torchvision"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    assert printed.stdout.splitlines()[-1] == "[]"


def test_the_supervisor_loads_neither_torch_nor_mlflow() -> None:
    program = (
        "import sys, jobs.__main__\nprint([name for name in ('torch', 'mlflow') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    assert printed.stdout == "[]\n"
