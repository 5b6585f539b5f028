"""How far a long command is: a line for people, and a small JSON file for whoever watches from elsewhere."""

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

from datamodules.errors import DataError, explain

State = Literal["running", "done", "failed", "stopped"]

FILE_INTERVAL_S = 0.5
TERMINAL_INTERVAL_S = 0.2
LOG_INTERVAL_S = 10.0
RATE_WINDOW_S = 30.0


@dataclass(frozen=True)
class Report:
    """Where a command stands; what the file holds.

    Attributes:
        state: ``running`` also stands there after a kill -9: look whether the process is alive.
        stage: What is being done, in words.
        done: Units of the stage that are behind us.
        total: Units of the stage; None where nobody knows.
        unit: Of the two: ``bytes``, ``images``, ...
        rate: Units a second, of the last half minute.
        eta_s: Seconds that the stage still takes; None where nobody knows.
        message: One sentence: how it ended, or what is notable now.
        pid: Of the process that writes this.
        started_at: Unix time in seconds.
        updated_at: The same.
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
        """The same in one line."""
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
    """Counts what is done and tells of it now and then; call it from one thread.

    As a context it writes the end as well: ``done``, ``failed`` with the error's message, or ``stopped``.

    Args:
        file: Where to keep the report for others; nowhere if None.
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
        """Starts a stage.

        Args:
            stage: In words, such as ``Unpacking train``.
            total: Units to do.
            unit: In the plural; ``bytes`` are shown as MB and GB.
            done: What an earlier process did already.
        """
        self._set(stage, total, unit, done)
        self._tell()

    def advance(self, amount: int = 1) -> None:
        """Counts units that are done."""
        self.done += amount
        self._tell()

    def say(self, message: str) -> None:
        """Notes a sentence, for the log as well as for those who watch."""
        self.message = message
        self._clear_line()
        sys.stderr.write(message + "\n")
        self._write()

    @property
    def report(self) -> Report:
        """Where it stands now."""
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
            self.state, self.message = "stopped", "Stopped; the same command goes on from here."
            sys.stderr.write(self.message + "\n")
        else:
            is_known = isinstance(error, DataError | ValueError)
            self.state = "failed"
            self.message = str(error) if is_known else f"{type(error).__name__}: {error}"
            if isinstance(error, OSError):
                self.message = explain(error)
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
            # A line that wraps could not be written over.
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
        # Whoever reads sees the old report or the new one, never a half.
        temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        text = json.dumps(asdict(self.report))
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.file)
        except OSError:
            if not self.file.exists():
                raise
            # The disk is full: what it holds can still be written over, and the work is not to end for this.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            with suppress(OSError), self.file.open("r+b") as stream:
                stream.write(text.encode())
                stream.truncate()


def read_progress(file: Path) -> Report | None:
    """Returns what a command has written last; None where there is nothing or something else."""
    try:
        report = Report(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return report if report.state in get_args(State) else None


def add_progress_argument(parser: argparse.ArgumentParser) -> None:
    """Lets a command be watched from elsewhere; pass what is given on to `Progress`."""
    parser.add_argument(
        "--progress", type=Path, metavar="FILE", help="keep a small JSON file on how far it is"
    )


def duration(seconds: float) -> str:
    """Writes a time in its two largest units: ``2 h 05 min``."""
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
