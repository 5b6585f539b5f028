"""A problem is a code and values; its sentence is made of both, and survives the way between processes."""

import pickle
import pkgutil
from enum import unique
from importlib import import_module
from pathlib import Path
from string import Formatter

import pytest

from jobs.submission.settings import SETTINGS
from problems import Code, InvalidValue, Problem
from tracking.layout import REPOSITORY

# A sentence may begin with the name of an option.
OPTIONS = {setting.place.split(".")[-1] for setting in SETTINGS} | {"num_classes", "checkpoint_interval_s"}
PACKAGES = ("tracking", "datamodules", "lightning_modules", "training", "jobs")


@unique
class Odd(Code):
    """Only for these tests."""

    SIZE = "{name} is {value}; it must be 1 or more."


def codes() -> list[type[Code]]:
    """Every enum of sentences."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages([str(REPOSITORY / package)], f"{package}."):
            text = Path(REPOSITORY, *found.name.split(".")).with_suffix(".py")
            if text.is_file() and "(Code)" in text.read_text(encoding="utf-8"):
                import_module(found.name)
    return [kind for kind in Code.__subclasses__() if kind is not Odd]


def test_the_sentence_is_made_of_the_values() -> None:
    problem = InvalidValue(Odd.SIZE, name="{batch}", value=0)
    assert str(problem) == "{batch} is 0; it must be 1 or more."
    assert (problem.code, problem.values) == (Odd.SIZE, {"name": "{batch}", "value": 0})
    assert isinstance(problem, ValueError)


def test_between_processes() -> None:
    problem = pickle.loads(pickle.dumps(InvalidValue(Odd.SIZE, name="x", value=0)))
    assert (type(problem), problem.code, problem.values) == (
        InvalidValue,
        Odd.SIZE,
        {"name": "x", "value": 0},
    )
    told = pickle.loads(pickle.dumps(Problem("said elsewhere")))
    assert (str(told), told.code) == ("said elsewhere", None)


@pytest.mark.parametrize("kind", codes(), ids=lambda kind: kind.__name__)
def test_every_code_has_one_sentence(kind: type[Code]) -> None:
    assert len(kind.__members__) == len(list(kind)), "two codes with one sentence are one"
    for code in kind:
        first = code.value.split()[0]
        assert first[0].isupper() or first[0] in "{`" or first in OPTIONS, code
        assert code.value.endswith((".", "?", "}")), code
        names = [name for _, name, _, _ in Formatter().parse(code.value) if name is not None]
        assert all(name.isidentifier() for name in names), code
