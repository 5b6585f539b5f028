"""Processes of this machine, identified by their number *and* their start time."""

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# The start time is computed from the boot time, which changes slightly when the clock is corrected.
CREATE_TIME_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Background:
    """A process that outlives the one that started it, recorded in a file for others to find.

    Attributes:
        pid: The process number.
        create_time: The start time in Unix seconds.
        port: The port that it listens on, or 0.
    """

    pid: int
    create_time: float
    port: int = 0

    def write(self, file: Path) -> None:
        """Replace the file atomically, so that nobody reads half of it."""
        draft = file.with_suffix(f".{self.pid}")
        draft.write_text(json.dumps(self.__dict__), encoding="utf-8")
        draft.replace(file)

    @classmethod
    def of(cls, pid: int, port: int = 0) -> "Background":
        """Describe a running process. Raises psutil.NoSuchProcess if there is none with this number."""
        return cls(pid, psutil.Process(pid).create_time(), port)

    @classmethod
    def read(cls, file: Path) -> "Background | None":
        """Read the file; return None if there is none or its process has ended."""
        try:
            background = cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return background if find_process(background.pid, background.create_time) else None


def find_process(pid: int, create_time: float, word: str = "") -> psutil.Process | None:
    """Return the running process with this number, None if it is a later process that reuses the number.

    Args:
        pid: The process number.
        create_time: The start time in Unix seconds.
        word: A process whose command line contains this is the right one even if the clock was changed.
    """
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if abs(process.create_time() - create_time) <= CREATE_TIME_TOLERANCE_S:
            return process
        if word and any(word in argument for argument in process.cmdline()):
            return process
    return None


def find_by_word(word: str) -> psutil.Process | None:
    """Return the running process that leads a session and has `word` among its arguments."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if word in process.cmdline() and os.getsid(process.pid) == process.pid:
                return process
    return None


def start_detached(
    command: Sequence[str], log_file: Path, *, cwd: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a process in its own session, with its output in a file and no input.

    Its `returncode` is None until it has ended; there is no need to poll.

    Args:
        command: Program and arguments, not interpreted by a shell.
        log_file: The file to which the output is appended.
        cwd: The working directory.
        environment: Variables added to those of this process.

    Raises:
        OSError: The process cannot be started.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, **environment},
        )
    # Collects the exit code as soon as the process ends, so that no zombie remains.
    threading.Thread(target=process.wait, name=f"wait-{process.pid}", daemon=True).start()
    return process


def kill_session(pid: int, create_time: float) -> None:
    """Kill a process, all its descendants, and what is left of the session that it leads or led."""
    for _ in range(3):  # a process may fork between the search and the kill
        doomed = _family(pid, create_time)
        for process in doomed:
            with suppress(psutil.Error):
                process.kill()
        if not doomed:
            return
        psutil.wait_procs(doomed, timeout=1)


def _family(pid: int, create_time: float) -> list[psutil.Process]:
    leader = find_process(pid, create_time)
    family = set()
    if leader is None and _is_other(pid, create_time):
        return []
    if leader is not None:
        with suppress(psutil.Error):
            family = {leader, *leader.children(recursive=True)}
    if leader is not None and _session(pid) != pid:
        return list(family)  # started from a shell, whose session it shares
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _session(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                family.add(process)
    return list(family)


def _is_other(pid: int, create_time: float) -> bool:
    """Return whether the number now belongs to a later process."""
    try:
        return abs(psutil.Process(pid).create_time() - create_time) > CREATE_TIME_TOLERANCE_S
    except psutil.Error:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
