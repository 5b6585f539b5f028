"""Forked children: each measurement in a process of its own, whose imports are paid once.

Nothing may open the GPU in the process that forks: CUDA does not survive a fork.
"""

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

# Whether this process is a child already; all that it starts are ended with it.
_is_child = False


class ChildFailed(Exception):
    """A child ended without an answer; the message is the last line that it printed, or its exit code."""


def rows_of(work: Callable[[], Iterator[Any]], log: Path, timeout_s: float) -> Iterator[Any]:
    """Yield what a generator yields in a child, as soon as it does; values must be JSON.

    Args:
        work: Makes the generator, in the child.
        log: Gets everything that the child and its children print.
        timeout_s: After which all of them are killed.

    Raises:
        ChildFailed: It raised something, or died.
        TimeoutError: It took too long.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _be_a_child(work, writer, log)
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8") as answers:
            yield from _read(answers, time.monotonic() + timeout_s)
    finally:
        with suppress(ProcessLookupError):
            end = os.kill if _is_child else os.killpg  # with whatever it has left
            end(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def value_of(work: Callable[[], Any], log: Path, timeout_s: float = 600.0) -> Any:
    """Return what a function returns in a child. Raises as `rows_of`."""
    (value,) = rows_of(lambda: iter([work()]), log, timeout_s)
    return value


def _be_a_child(work: Callable[[], Iterator[Any]], writer: int, log: Path) -> None:
    global _is_child
    code = 1
    try:
        if not _is_child:
            os.setsid()
        _is_child = True
        sys.stdout = sys.stderr = output = log.open("a", encoding="utf-8", buffering=1)
        for number in (1, 2):
            os.dup2(output.fileno(), number)
        with os.fdopen(writer, "w", encoding="utf-8") as answers:
            try:
                for value in work():
                    answers.write(json.dumps({"value": value}) + "\n")
                    answers.flush()
                answers.write(json.dumps({"done": True}) + "\n")
                code = 0
            except BaseException as error:
                traceback.print_exc()
                said = next(iter(str(error).splitlines()), "")
                answers.write(json.dumps({"error": f"{type(error).__name__}: {said}"}) + "\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read(answers: Any, deadline_s: float) -> Iterator[Any]:
    buffered = ""
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([answers], [], [], left_s)[0]:
            raise TimeoutError
        chunk = os.read(answers.fileno(), 65536).decode()
        if not chunk:
            raise ChildFailed("the process died")
        *lines, buffered = (buffered + chunk).split("\n")
        for line in lines:
            answer = json.loads(line)
            if "done" in answer:
                return
            if "error" in answer:
                raise ChildFailed(answer["error"])
            yield answer["value"]
