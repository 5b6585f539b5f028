"""One spelling of options on every command line, and the other accepted."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from command_line import INTERRUPTED, WRONG, answer, underscored
from tracking.layout import REPOSITORY

SPELT = {
    ("jobs", "check", "alexnet"): ("--image_size", "8", "image_size is 8"),
    ("lightning_modules", "ledger", "alexnet"): ("--image_size", "8", "image_size is 8"),
    ("training", "fit"): ("--data.image_size", "8", "image_size is 8"),
    ("datamodules", "convert", "folder"): ("--max_side", "few", "argument --max_side: invalid int value"),
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--image-size", "64"], ["--image_size", "64"]),
        (["--image-size=a-b", "-n", "a-b"], ["--image_size=a-b", "-n", "a-b"]),
        (["--a-b", "--", "--c-d"], ["--a_b", "--", "--c-d"]),
    ],
)
def test_dashes_become_underscores(words: Sequence[str], expected: Sequence[str]) -> None:
    assert underscored(words) == expected


@pytest.mark.parametrize("words", SPELT)
def test_both_spellings_mean_the_same(words: Sequence[str], tmp_path: os.PathLike[str]) -> None:
    option, value, expected = SPELT[words]
    ends = []
    for spelt in (option, option.replace("_", "-")):
        command = [sys.executable, "-m", *words, spelt, value]
        environment = os.environ | {"ARENA_MLRUNS": str(tmp_path)}
        end = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120
        )
        assert expected in end.stdout + end.stderr
        ends.append((end.returncode, end.stdout + end.stderr))
    assert ends[0] == ends[1] and ends[0][0] == WRONG


def test_how_a_command_ends(capsys: pytest.CaptureFixture[str]) -> None:
    def raise_it(error: BaseException) -> None:
        raise error

    assert answer(lambda: None) == 0
    assert answer(lambda: raise_it(ValueError("Take another."))) == WRONG
    assert capsys.readouterr().err == "Take another.\n"
    assert answer(lambda: raise_it(KeyboardInterrupt())) == INTERRUPTED
    with pytest.raises(RuntimeError):
        answer(lambda: raise_it(RuntimeError("a fault of ours")))
