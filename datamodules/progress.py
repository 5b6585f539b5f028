"""Progress of a long command: a line for people, and a small JSON file for other programs."""

import argparse
import json
import os
import shutil
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from datamodules.problems import explain
from problems import Problem

State = Literal["running", "done", "failed", "stopped"]

FILE_INTERVAL_S = 0.5
TERMINAL_INTERVAL_S = 0.2
LOG_INTERVAL_S = 10.0
RATE_WINDOW_S = 30.0


@dataclass(frozen=True)
class Report:
    """The progress of a command; the content of the file.

    Attributes:
        state: Still ``running`` after a ``kill -9``: also check whether the process is alive.
        stage: The current stage, for people.
        done: Units of the stage that are done.
        total: Units of the stage; None if unknown.
        unit: Unit of the two: ``bytes``, ``images``, ...
        rate: Units per second over the last half minute.
        eta_s: Remaining time of the stage in seconds; None if unknown.
        message: The result of the command, or something to note; one sentence.
        pid: Process that writes this file.
        started_at: Unix time in seconds.
        updated_at: Unix time in seconds.
    """

    state: State
    stage: str
    done: int
    total: int | None
    unit: str
    rate: float
    eta_s: float | None
    message: str
    pid: int
    started_at: float
    updated_at: float

    @property
    def text(self) -> str:
        """The progress in one line."""
        amount = _amount(self.done, self.unit)
        if self.total is not None:
            share = f" ({self.done / self.total:.0%})" if self.total else ""
            done = amount.removesuffix(f" {self.unit}")
            amount = f"{done} of {_amount(self.total, self.unit)}{share}"
        parts = [f"{self.stage}: {amount}"]
        if self.rate:
            parts.append(f"{_amount(self.rate, self.unit)}/s")
        if self.eta_s:
            parts.append(f"{duration(self.eta_s)} left")
        return ", ".join(parts)


class Progress:
    """Counts what is done and reports it at intervals; not thread-safe.

    As a context manager it also reports the end: ``done``, ``failed`` with the error's message, or
    ``stopped``.

    Args:
        file: File for the report; none if None.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.is_terminal = sys.stderr.isatty()
        self.started_at = time.time()
        self.state: State = "running"
        self.message = ""
        self._set("Starting", None, "steps", 0)
        self._write()

    def begin(self, stage: str, total: int | None, unit: str, done: int = 0) -> None:
        """Start a stage.

        Args:
            stage: Name for people, such as ``Unpacking train``.
            total: Number of units; None if unknown.
            unit: Plural noun; ``bytes`` are shown as MB and GB.
            done: Units that an earlier process has done.
        """
        self._set(stage, total, unit, done)
        self._tell()

    def advance(self, amount: int = 1) -> None:
        """Count units that are done."""
        self.done += amount
        self._tell()

    def say(self, message: str) -> None:
        """Write a sentence to the log and to the report."""
        self.message = message
        self._clear_line()
        sys.stderr.write(message + "\n")
        self._write()

    @property
    def report(self) -> Report:
        """The current progress."""
        (first_s, first), (last_s, last) = self._points[0], self._points[-1]
        rate = (last - first) / (last_s - first_s) if last_s > first_s else 0.0
        eta_s = (self.total - self.done) / rate if self.total is not None and rate > 0 else None
        return Report(
            state=self.state,
            stage=self.stage,
            done=self.done,
            total=self.total,
            unit=self.unit,
            rate=rate,
            eta_s=eta_s,
            message=self.message,
            pid=os.getpid(),
            started_at=self.started_at,
            updated_at=time.time(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear_line()
        if error is None:
            self.state = "done"
        elif isinstance(error, KeyboardInterrupt):
            self.state, self.message = "stopped", "Stopped; the same command continues from here."
            sys.stderr.write(self.message + "\n")
        else:
            self.state = "failed"
            if isinstance(error, OSError):
                error = explain(error)
            self.message = str(error) if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
        self._write()

    def _set(self, stage: str, total: int | None, unit: str, done: int) -> None:
        self.stage, self.total, self.unit, self.done = stage, total, unit, done
        self._points = deque([(time.monotonic(), done)])
        self._told_at = self._wrote_at = float("-inf")

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._points[-1][0] >= TERMINAL_INTERVAL_S:
            self._points.append((now, self.done))
            while now - self._points[1][0] > RATE_WINDOW_S:
                self._points.popleft()
        if self.file and now - self._wrote_at >= FILE_INTERVAL_S:
            self._write()
        if now - self._told_at >= (TERMINAL_INTERVAL_S if self.is_terminal else LOG_INTERVAL_S):
            self._told_at = now
            text = self.report.text
            # A line that wraps could not be overwritten.
            line = text[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write(f"\r\x1b[K{line}" if self.is_terminal else f"{text}\n")
            sys.stderr.flush()

    def _clear_line(self) -> None:
        if self.is_terminal:
            sys.stderr.write("\r\x1b[K")

    def _write(self) -> None:
        if self.file is None:
            return
        self._wrote_at = time.monotonic()
        # A reader sees the old report or the new one, never a part of it.
        temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        text = json.dumps(asdict(self.report))
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.file)
        except OSError:
            if not self.file.exists():
                raise
            # The disk is full: the old report can still be overwritten, and the command must not fail for
            # this.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            with suppress(OSError), self.file.open("r+b") as stream:
                stream.write(text.encode())
                stream.truncate()


def read_progress(file: Path) -> Report | None:
    """Return the latest report of a command; None if the file is missing or invalid."""
    try:
        report = Report(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return report if report.state in get_args(State) else None


def add_progress_argument(parser: argparse.ArgumentParser) -> None:
    """Add an option for the file of `Progress`."""
    parser.add_argument("--progress", type=Path, metavar="FILE", help="write the progress to this JSON file")


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``2 h 05 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _amount(number: float, unit: str) -> str:
    if unit != "bytes":
        return f"{number:,.{1 if 0 < number < 10 and number % 1 else 0}f} {unit}"
    for name, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:,.1f} {name}"
    return f"{number:.0f} B"
